import { toJson } from '@bufbuild/protobuf';
import {
  type PipelineRun,
  PipelineRunSchema,
  PipelineRunState,
  RunOriginKind,
  TaskSchema,
  TaskState,
  WatchPipelineRunResponseSchema,
} from '@millrace/contracts/pipelines';
import type { Millrace } from '@millrace/sdk';
import type { Globals } from '../command.ts';
import { gather, watchOptions } from '../session.ts';
import { ago, between, enumName, lastOf } from '../show/format.ts';
import type { Output } from '../show/output.ts';

/** The state of a run, for people. */
export const stateOf = (run: PipelineRun) => enumName(PipelineRunState, run.state);

/** Follows a run until it ends; 1 when it does not succeed. */
export async function watchRun(
  { pipelineRuns }: Millrace,
  globals: Globals,
  name: string,
  out: Output,
): Promise<number> {
  let state: PipelineRunState = PipelineRunState.UNSPECIFIED;
  for await (const step of pipelineRuns.watchPipelineRun({ name }, watchOptions(globals))) {
    const { change } = step;
    if (change.case === 'pipelineRun') state = change.value.state;
    if (out.json) out.document(toJson(WatchPipelineRunResponseSchema, step) as object);
    else if (change.case === 'task' && change.value.state === TaskState.RUNNING)
      out.progress(`${lastOf(change.value.name)} runs …`);
    if (change.case === undefined || out.json) continue;
    const { reason } = change.value;
    const what =
      change.case === 'task'
        ? `${lastOf(change.value.name)} ${enumName(TaskState, change.value.state)}`
        : out.strong(`run ${stateOf(change.value)}`);
    if (!(out.live && change.case === 'task' && change.value.state === TaskState.RUNNING))
      out.line(`${new Date().toISOString().slice(11, 19)}  ${what}${reason ? `: ${reason}` : ''}`);
  }
  return state === PipelineRunState.SUCCEEDED ? 0 : 1;
}

/** Shows a run and its tasks. */
export async function showTasks(
  { pipelineRuns }: Pick<Millrace, 'pipelineRuns'>,
  name: string,
  out: Output,
): Promise<number> {
  const { pipelineRun } = await pipelineRuns.getPipelineRun({ name });
  const tasks = await gather(10_000, async (pageSize, pageToken) => {
    const page = await pipelineRuns.listTasks({ parent: name, pageSize, pageToken });
    return { items: page.tasks, nextPageToken: page.nextPageToken };
  });
  const nowMs = Date.now();
  if (!pipelineRun) return 1;
  if (out.json) {
    out.document({
      pipelineRun: toJson(PipelineRunSchema, pipelineRun),
      tasks: tasks.map((task) => toJson(TaskSchema, task)),
    });
    return 0;
  }
  out.fields([
    ['run', pipelineRun.name],
    ['pipeline', `${lastOf(pipelineRun.pipeline)} version ${pipelineRun.version}`],
    ['state', stateOf(pipelineRun)],
    ['reason', pipelineRun.reason],
    ['started', ago(pipelineRun.startTime, nowMs)],
    ['took', between(pipelineRun.startTime, pipelineRun.endTime, nowMs)],
  ]);
  out.line();
  out.table(tasks, [
    { title: 'task', value: (task) => lastOf(task.name) },
    { title: 'state', value: (task) => enumName(TaskState, task.state) },
    { title: 'attempts', value: (task) => String(task.attempts.length), align: 'right' },
    { title: 'took', value: (task) => between(task.startTime, task.endTime, nowMs), align: 'right' },
    { title: 'reason', value: (task) => task.reason, shrink: true },
  ]);
  return 0;
}

/** The columns of a list of runs. */
export function runColumns(nowMs: number) {
  const origin = ({ origin: from }: PipelineRun) =>
    from ? `${enumName(RunOriginKind, from.kind)}${from.resource ? ` ${lastOf(from.resource)}` : ''}` : '';
  return [
    { title: 'run', value: (run: PipelineRun) => lastOf(run.name) },
    { title: 'pipeline', value: (run: PipelineRun) => `${lastOf(run.pipeline)}/${run.version}` },
    { title: 'state', value: stateOf },
    { title: 'from', value: origin, shrink: true },
    {
      title: 'took',
      value: (run: PipelineRun) => between(run.startTime, run.endTime, nowMs),
      align: 'right' as const,
    },
    { title: 'created', value: (run: PipelineRun) => ago(run.createTime, nowMs) },
    { title: 'reason', value: (run: PipelineRun) => run.reason, shrink: true },
  ];
}
