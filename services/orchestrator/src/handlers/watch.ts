import { names } from '@millrace/contracts';
import type { WatchPipelineRunResponseSchema } from '@millrace/contracts/pipelines';
import { pipelinesEvents as events } from '@millrace/contracts/pipelines-events';
import { watchEvents } from '@millrace/service';
import { runMessage, runName } from '../convert/run.ts';
import { taskMessage } from '../convert/task.ts';
import type { Init } from '../convert/value.ts';
import { isTerminalRun, type Run } from '../domain/run.ts';
import type { Edge } from './edge.ts';

type Change = Init<typeof WatchPipelineRunResponseSchema>;

/** A run and its tasks as they are, then each change, until the run is terminal. */
export async function* watchRun(
  { store }: Edge,
  run: Run,
  onlyRun: boolean,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const { project, id } = run;
  // The place in the log is read before the documents, so that nothing falls between the two.
  const after = await store.documents.events.last();
  const runNow = async (): Promise<{ change: Change; over: boolean }> => {
    const { doc, version } = (await store.runs.get(`${project}/${id}`)) ?? { doc: run, version: 0 };
    return {
      change: { change: { case: 'pipelineRun', value: runMessage(doc, version) } },
      over: isTerminalRun(doc.state),
    };
  };
  const first = await runNow();
  if (!first.over) yield first.change;
  if (!onlyRun)
    for (const task of await store.allTasks(project, id))
      yield { change: { case: 'task', value: taskMessage(task) } };
  // A run that is over comes last, as it would have had it been followed.
  if (first.over) return yield first.change;

  const own = runName(run);
  const types = [events.runStateChanged.type, ...(onlyRun ? [] : [events.taskStateChanged.type])];
  for await (const event of watchEvents(store.documents, { signal, after, project, types })) {
    if (event.resource === own) {
      const { change, over } = await runNow();
      yield change;
      if (over) return;
    } else if (event.resource.startsWith(`${own}/`)) {
      const { task: key } = names.task.parse(event.resource);
      const task = (await store.tasks.get(`${project}/${id}/${key}`))?.doc;
      if (task) yield { change: { case: 'task', value: taskMessage(task) } };
    }
  }
}
