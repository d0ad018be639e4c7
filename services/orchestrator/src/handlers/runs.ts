import { names } from '@millrace/contracts';
import {
  CancelPipelineRunRequestSchema,
  CancelPipelineRunResponseSchema,
  CreatePipelineRunRequestSchema,
  CreatePipelineRunResponseSchema,
  PipelineRunService,
  RetryPipelineRunRequestSchema,
  RetryPipelineRunResponseSchema,
} from '@millrace/contracts/pipelines';
import { invalidField, notFound, wrongState } from '@millrace/errors';
import { implement } from '@millrace/rpc';
import { pageOf } from '@millrace/service';
import { runMessage, runName } from '../convert/run.ts';
import { runStateOf, wordFor } from '../convert/states.ts';
import { parametersOf } from '../convert/value.ts';
import { isTerminalRun } from '../domain/run.ts';
import { type TaskState, taskStates } from '../domain/task.ts';
import { downloadOutput, taskLogs } from './bytes.ts';
import { type Edge, once } from './edge.ts';
import { getTask, listTasks } from './tasks.ts';
import { watchRun } from './watch.ts';

/** The RPCs of runs, their tasks and logs. */
export function runHandlers(edge: Edge) {
  const { store, engine, startRun } = edge;

  async function find(name: string) {
    const { project, run } = names.pipelineRun.parse(name);
    const found = await store.runs.get(`${project}/${run}`);
    if (!found) throw notFound(name);
    return found;
  }

  async function message(name: string) {
    const { doc, version } = await find(name);
    const run = `${doc.project}/${doc.id}`;
    const counts = new Map<TaskState, number>();
    for (const state of taskStates) {
      const count = await store.tasks.count({ run, state });
      if (count > 0) counts.set(state, count);
    }
    return runMessage(doc, version, counts);
  }

  return implement(PipelineRunService, {
    async createPipelineRun(request, context) {
      const { project } = names.project.parse(request.parent, 'parent');
      const asked = request.pipelineRun;
      const of = names.pipeline.parse(asked?.pipeline ?? '', 'pipeline_run.pipeline');
      if (of.project !== project)
        throw invalidField(
          'pipeline_run.pipeline',
          `it belongs to project ${of.project}`,
          `a pipeline of ${project}`,
        );
      const schemas = { input: CreatePipelineRunRequestSchema, output: CreatePipelineRunResponseSchema };
      return once(edge, context, project, schemas, request, async ({ id }) => {
        const { run } = await startRun({
          project,
          id,
          pipeline: of.pipeline,
          version: asked?.version ?? 0,
          parameters: parametersOf(asked?.parameters ?? [], 'pipeline_run.parameters'),
          tags: (asked?.tags ?? []).map(({ key, value }) => ({ key, value })),
          noCache: asked?.noCache ?? false,
          origin: { kind: 'request' },
        });
        return { pipelineRun: runMessage(run.doc, run.version) };
      });
    },

    async getPipelineRun({ name }) {
      return { pipelineRun: await message(name) };
    },

    async listPipelineRuns(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const pipeline = request.pipeline && names.pipeline.parse(request.pipeline, 'pipeline');
      if (pipeline && pipeline.project !== project)
        throw invalidField(
          'pipeline',
          `it belongs to project ${pipeline.project}`,
          `a pipeline of ${project}`,
        );
      const state = wordFor(runStateOf, request.state);
      const page = await store.runs.find({
        where: { project, ...(pipeline ? { pipeline: pipeline.pipeline } : {}), ...(state ? { state } : {}) },
        orderBy: [{ field: 'createdAtMs', direction: 'desc' }],
        ...pageOf(request),
      });
      return {
        pipelineRuns: page.items.map((item) => runMessage(item.doc, item.version)),
        nextPageToken: page.next ?? '',
      };
    },

    async cancelPipelineRun(request, context) {
      const { project, run } = names.pipelineRun.parse(request.name);
      const schemas = { input: CancelPipelineRunRequestSchema, output: CancelPipelineRunResponseSchema };
      return once(edge, context, project, schemas, request, async () => {
        const { doc, version } = await find(request.name);
        if (isTerminalRun(doc.state))
          throw wrongState(`${request.name} is ${doc.state.toUpperCase()}, which is final`);
        const reason = request.reason || 'cancelled on request';
        const changed = await store.changeRun(project, run, {
          do: 'stop',
          to: 'cancelled',
          reason,
          force: request.force,
        });
        // Refused: it is being stopped already, which is what was asked for.
        const now = changed ?? { doc, version };
        await engine.submit(now.doc);
        return { pipelineRun: runMessage(now.doc, now.version) };
      });
    },

    async retryPipelineRun(request, context) {
      const { project } = names.pipelineRun.parse(request.name);
      const schemas = { input: RetryPipelineRunRequestSchema, output: RetryPipelineRunResponseSchema };
      return once(edge, context, project, schemas, request, async ({ id }) => {
        const { doc } = await find(request.name);
        if (!isTerminalRun(doc.state) || doc.state === 'succeeded')
          throw wrongState(
            `${runName(doc)} is ${doc.state.toUpperCase()}; only runs that ended without success are repeated`,
          );
        const { pipeline, version, parameters, tags, noCache } = doc;
        const origin = { kind: 'request' } as const;
        const { run } = await startRun({
          project,
          id,
          pipeline,
          version,
          parameters,
          tags,
          noCache,
          origin,
          retryOf: doc.id,
        });
        return { pipelineRun: runMessage(run.doc, run.version) };
      });
    },

    async *watchPipelineRun(request, context) {
      const { doc } = await find(request.name);
      yield* watchRun(edge, doc, request.onlyRun, context.signal);
    },

    async getTask({ name }) {
      return { task: await getTask(edge, name) };
    },
    listTasks: (request) => listTasks(edge, request),
    getTaskLogs: (request, context) => taskLogs(edge, request, context.signal),
    downloadTaskOutput: (request) => downloadOutput(edge, request.name, request.output),
  });
}
