import { randomUUID } from 'node:crypto';
import type { JsonValue } from '@bufbuild/protobuf';
import { fromJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import {
  LogStream,
  type ParameterSpec,
  ParameterType,
  PipelineRunSchema,
  PipelineSchema,
} from '@millrace/contracts/pipelines';
import { parseWhole } from '../cli/duration.ts';
import { usage } from '../cli/usage.ts';
import { command, type Group } from '../command.ts';
import { gather, nameIn, watchOptions, withSuite } from '../session.ts';
import { ago, lastOf } from '../show/format.ts';
import { runColumns, showTasks, stateOf, watchRun } from './pipeline-run.ts';

export const pipelines: Group = {
  summary: 'pipelines and their runs',
  commands: {
    list: command({
      summary: 'Lists pipelines',
      args: [],
      options: {},
      run: ({ globals, out }) =>
        withSuite(globals, async ({ pipelines, parent }) => {
          const found = await gather(10_000, async (pageSize, pageToken) => {
            const page = await pipelines.listPipelines({ parent, pageSize, pageToken });
            return { items: page.pipelines, nextPageToken: page.nextPageToken };
          });
          const nowMs = Date.now();
          out.list(
            PipelineSchema,
            found,
            [
              { title: 'pipeline', value: (one) => lastOf(one.name) },
              { title: 'version', value: (one) => String(one.version), align: 'right' },
              {
                title: 'steps',
                value: (one) => one.spec?.steps.map((step) => step.name).join(', ') ?? '',
                shrink: true,
              },
              { title: 'changed', value: (one) => ago(one.updateTime, nowMs) },
            ],
            'There are no pipelines yet.',
          );
          return 0;
        }),
    }),
    run: command({
      summary: 'Starts a run of a pipeline',
      args: ['PIPELINE'],
      options: {
        param: { type: 'string', short: 'p', multiple: true, value: 'KEY=VALUE', meaning: 'A parameter.' },
        'no-cache': { type: 'boolean', meaning: 'Reuse no results.' },
        watch: { type: 'boolean', short: 'w', meaning: 'Follow the run; exit code 1 when it fails.' },
      },
      run: ({ args, options, globals, out }) =>
        withSuite(globals, async (millrace) => {
          const name = nameIn.pipeline(globals.project, args[0]!);
          const { pipeline } = await millrace.pipelines.getPipeline({ name });
          const parameters = (options.param ?? []).map((text) =>
            readParameter(text, pipeline?.spec?.parameters ?? []),
          );
          const { pipelineRun } = await millrace.pipelineRuns.createPipelineRun({
            parent: millrace.parent,
            pipelineRun: { pipeline: name, parameters, noCache: options['no-cache'] ?? false },
            requestId: randomUUID(),
          });
          if (!pipelineRun) return 1;
          if (options.watch) return watchRun(millrace, globals, pipelineRun.name, out);
          out.item(PipelineRunSchema, pipelineRun, () => {
            out.line(`started ${lastOf(pipelineRun.name)}`);
            out.line(out.dim(`follow it with: millrace pipelines watch ${lastOf(pipelineRun.name)}`));
          });
          return 0;
        }),
    }),
    runs: command({
      summary: 'Lists runs of pipelines, newest first, or shows the tasks of one',
      args: ['[RUN]'],
      options: {
        pipeline: { type: 'string', value: 'PIPELINE', meaning: 'Only runs of this pipeline.' },
        limit: { type: 'string', value: 'N', meaning: 'Most runs to show. Default: 20.' },
      },
      run: ({ args, options, globals, out }) =>
        withSuite(globals, async ({ pipelineRuns, parent }) => {
          if (args[0]) return showTasks({ pipelineRuns }, nameIn.pipelineRun(globals.project, args[0]), out);
          const limit = options.limit === undefined ? 20 : parseWhole(options.limit, '--limit', 1);
          const pipeline = options.pipeline ? nameIn.pipeline(globals.project, options.pipeline) : '';
          const found = await gather(limit, async (pageSize, pageToken) => {
            const page = await pipelineRuns.listPipelineRuns({ parent, pageSize, pageToken, pipeline });
            return { items: page.pipelineRuns, nextPageToken: page.nextPageToken };
          });
          out.list(PipelineRunSchema, found, runColumns(Date.now()), 'There are no runs yet.');
          return 0;
        }),
    }),
    logs: command({
      summary: 'Prints what a task wrote',
      args: ['RUN', 'TASK'],
      options: {
        follow: { type: 'boolean', short: 'f', meaning: 'Until the task has ended.' },
        attempt: { type: 'string', value: 'N', meaning: 'Which attempt. Default: the newest.' },
      },
      run: ({ args, options, globals }) =>
        withSuite(globals, async ({ pipelineRuns }) => {
          const request = {
            name: `${nameIn.pipelineRun(globals.project, args[0]!)}/tasks/${encodeURIComponent(args[1]!)}`,
            attempt: options.attempt === undefined ? 0 : parseWhole(options.attempt, '--attempt', 1),
            follow: options.follow ?? false,
          };
          for await (const { stream, data } of pipelineRuns.getTaskLogs(request, watchOptions(globals)))
            (stream === LogStream.STDERR ? process.stderr : process.stdout).write(data);
          return 0;
        }),
    }),
    cancel: command({
      summary: 'Cancels a run',
      args: ['RUN'],
      options: {
        force: { type: 'boolean', meaning: 'End tasks at once; run no exit steps.' },
        reason: { type: 'string', value: 'TEXT', meaning: 'Why; kept with the run.' },
      },
      run: ({ args, options, globals, out }) =>
        withSuite(globals, async ({ pipelineRuns }) => {
          const { pipelineRun } = await pipelineRuns.cancelPipelineRun({
            name: nameIn.pipelineRun(globals.project, args[0]!),
            force: options.force ?? false,
            reason: options.reason ?? '',
            requestId: randomUUID(),
          });
          if (pipelineRun)
            out.item(PipelineRunSchema, pipelineRun, () => out.line(`${args[0]}: ${stateOf(pipelineRun)}`));
          return 0;
        }),
    }),
    watch: command({
      summary: 'Follows a run until it ends; exit code 1 when it does not succeed',
      args: ['RUN'],
      options: {},
      run: ({ args, globals, out }) =>
        withSuite(globals, (millrace) =>
          watchRun(millrace, globals, nameIn.pipelineRun(globals.project, args[0]!), out),
        ),
    }),
  },
};

/** A value by its parameter's type; without a type, JSON when it is JSON, else a text. */
function readParameter(text: string, specs: readonly ParameterSpec[]) {
  const [name = '', given] = text.split(/=(.*)/s);
  if (given === undefined) throw usage(`--param ${text} is not KEY=VALUE`);
  const spec = specs.find((one) => one.name === name);
  const value: JsonValue = spec?.type === ParameterType.STRING ? given : readJson(given);
  try {
    return { name, value: fromJson(ValueSchema, value) };
  } catch {
    // Whatever is JSON is a value, up to the depth that messages can have.
    throw usage(`--param ${name} is nested too deeply; allowed: fewer levels of lists and objects`);
  }
}

function readJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
