import { names } from '@millrace/contracts';
import type { ListTasksRequest, ListTasksResponseSchema, TaskSchema } from '@millrace/contracts/pipelines';
import { notFound } from '@millrace/errors';
import { pageOf } from '@millrace/service';
import { taskStateOf, wordFor } from '../convert/states.ts';
import { taskMessage } from '../convert/task.ts';
import type { Init } from '../convert/value.ts';
import { whyPending } from '../domain/plan.ts';
import type { Run } from '../domain/run.ts';
import type { Task } from '../domain/task.ts';
import type { Edge } from './edge.ts';

/** The stored task of a name. */
export async function findTask({ store }: Edge, name: string): Promise<Task> {
  const { project, run, task } = names.task.parse(name);
  const found = await store.tasks.get(`${project}/${run}/${task}`);
  if (!found) throw notFound(name);
  return found.doc;
}

export async function getTask(edge: Edge, name: string): Promise<Init<typeof TaskSchema>> {
  const task = await findTask(edge, name);
  const [message] = await explained(edge, [task]);
  return message ?? taskMessage(task);
}

export async function listTasks(
  edge: Edge,
  request: ListTasksRequest,
): Promise<Init<typeof ListTasksResponseSchema>> {
  const { project, run } = names.pipelineRun.parse(request.parent, 'parent');
  if (!(await edge.store.runs.get(`${project}/${run}`))) throw notFound(request.parent);
  const state = wordFor(taskStateOf, request.state);
  const { step } = request;
  const page = await edge.store.tasks.find({
    where: { run: `${project}/${run}`, ...(step ? { step } : {}), ...(state ? { state } : {}) },
    orderBy: step ? [{ field: 'index' }] : [{ field: 'step' }, { field: 'index' }],
    ...pageOf(request),
  });
  const tasks = await explained(
    edge,
    page.items.map((item) => item.doc),
  );
  return { tasks, nextPageToken: page.next ?? '' };
}

/** Tasks of one run, each pending one with what it waits for. */
async function explained(
  { store, engine }: Edge,
  tasks: readonly Task[],
): Promise<Init<typeof TaskSchema>[]> {
  const pending = tasks.find((task) => task.state === 'pending');
  const run: Run | undefined = pending && (await store.runs.get(`${pending.project}/${pending.run}`))?.doc;
  const view = run && (await engine.view(run));
  return tasks.map((task) =>
    taskMessage(task, view && task.state === 'pending' ? whyPending(view, task) : ''),
  );
}
