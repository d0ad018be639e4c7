import { PipelineRunState } from '@millrace/contracts/pipelines';
import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';

export interface Command {
  readonly argv: readonly string[];
  readonly env?: readonly { name: string; value: string; secret?: boolean }[];
  readonly parameters?: Readonly<Record<string, string>>;
}

/** Runs a command as the only step of a pipeline to its end, and answers what it wrote. */
export async function runCommand(millrace: Millrace, name: string, command: Command): Promise<string> {
  const { pipelines, pipelineRuns, parent } = millrace;
  const pipeline = `${parent}/pipelines/${name}`;
  const { argv, env = [], parameters = {} } = command;
  await pipelines.applyPipeline({
    pipeline: {
      name: pipeline,
      spec: {
        parameters: Object.keys(parameters).map((key) => ({ name: key, type: 1 })),
        steps: [
          {
            name: 'only',
            action: { case: 'command', value: { argv: [...argv], env: env.map((one) => ({ ...one })) } },
          },
        ],
      },
    },
  });
  const given = Object.entries(parameters).map(([key, value]) => ({
    name: key,
    value: { kind: { case: 'stringValue', value } as const },
  }));
  const { pipelineRun } = await pipelineRuns.createPipelineRun({
    parent,
    pipelineRun: { pipeline, parameters: given },
  });
  const run = pipelineRun?.name ?? '';
  await until(
    async () => {
      const { pipelineRun: found } = await pipelineRuns.getPipelineRun({ name: run });
      return found?.state === PipelineRunState.SUCCEEDED;
    },
    { what: `${run} succeeds`, timeoutMs: 30_000 },
  );
  const { tasks } = await pipelineRuns.listTasks({ parent: run });
  let written = '';
  for await (const { data } of pipelineRuns.getTaskLogs({ name: tasks[0]?.name ?? '' }))
    written += Buffer.from(data).toString();
  return written;
}
