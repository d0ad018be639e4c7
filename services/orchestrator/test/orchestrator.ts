import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type MessageInitShape, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { loadSettings } from '@millrace/config';
import { EventLogService } from '@millrace/contracts/common';
import {
  type PipelineRun,
  PipelineRunService,
  PipelineRunState,
  PipelineService,
  type PipelineSpecSchema,
  ScheduleService,
  type StepSchema,
  type Task,
  TriggerService,
} from '@millrace/contracts/pipelines';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startService } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { protect, until } from '@millrace/testing';
import { settings } from '../src/config.ts';
import { runStateOf, taskStateOf, wordFor } from '../src/convert/states.ts';
import { build } from '../src/wiring.ts';

const deadline = { deadlineMs: 30_000 };

/** Clients of an orchestrator. */
export function clientsOf(address: string) {
  const transport = grpcTransport({ address });
  return {
    pipelines: createClient(PipelineService, transport, deadline),
    runs: createClient(PipelineRunService, transport, deadline),
    schedules: createClient(ScheduleService, transport, deadline),
    triggers: createClient(TriggerService, transport, deadline),
    log: createClient(EventLogService, transport, deadline),
    close: () => transport.close(),
  };
}
export type Clients = ReturnType<typeof clientsOf>;

/** The service in this process. */
export async function startHere(env: Readonly<Record<string, string>>, now?: () => number) {
  const config = loadSettings(settings, { STEP_CPU: '8', ...env });
  const spec = { name: 'orchestrator', context: 'pipelines' as const, settings, build };
  const service = await startService(spec, { config, log: silentLogger, ...(now ? { now } : {}) });
  const clients = clientsOf(service.address);
  return {
    ...clients,
    address: service.address,
    stop: async () => {
      clients.close();
      await service.stop();
    },
  };
}

/** The service as a process of its own, to be killed. */
export async function startProcess(env: Readonly<Record<string, string>>) {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, '../src/main.ts')], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'error', STEP_CPU: '8', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const release = protect('process', child.pid ?? 0);
  const exited = once(child, 'exit').finally(release);
  const lines = createInterface({ input: child.stdout! });
  const [line] = (await once(lines, 'line')) as [string];
  const { address } = JSON.parse(line) as { address: string };
  const clients = clientsOf(address);
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    clients.close();
    child.kill(signal);
    await exited;
  };
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => void child.kill(name);
  return {
    ...clients,
    address,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

type StepInit = MessageInitShape<typeof StepSchema>;

/** A step that runs a piece of JavaScript. */
export function js(
  name: string,
  code: string,
  rest: Omit<Partial<StepInit>, 'action' | '$typeName'> & { command?: object; args?: readonly string[] } = {},
): StepInit {
  const { command, args, ...others } = rest;
  const argv = [
    process.execPath,
    '-e',
    `const fs = require('fs'), out = process.env.MILLRACE_OUTPUTS; ${code}`,
    '--',
    ...(args ?? []),
  ];
  return { name, action: { case: 'command', value: { argv, ...command } }, ...others };
}

/** A step that runs a program that does next to nothing. */
export const quick = (
  name: string,
  rest: Omit<Partial<StepInit>, 'action' | '$typeName'> = {},
): StepInit => ({
  name,
  action: { case: 'command', value: { argv: ['/bin/true'] } },
  ...rest,
});

/** Applies a pipeline and starts a run of it; answers the run's name. */
export async function launch(
  { pipelines, runs }: Clients,
  pipeline: string,
  spec: MessageInitShape<typeof PipelineSpecSchema>,
  parameters: Readonly<Record<string, MessageInitShape<typeof ValueSchema>>> = {},
): Promise<string> {
  const name = `projects/default/pipelines/${pipeline}`;
  await pipelines.applyPipeline({ pipeline: { name, spec } });
  const { pipelineRun } = await runs.createPipelineRun({
    parent: 'projects/default',
    pipelineRun: {
      pipeline: name,
      parameters: Object.entries(parameters).map(([key, value]) => ({ name: key, value })),
    },
  });
  return pipelineRun!.name;
}

export const number = (value: number): MessageInitShape<typeof ValueSchema> => ({
  kind: { case: 'numberValue', value },
});

/** Waits for a run's end and answers its state. */
export async function finished({ runs }: Clients, name: string): Promise<PipelineRun & { word: string }> {
  const run = await until(
    async () => {
      const { pipelineRun } = await runs.getPipelineRun({ name });
      return pipelineRun && pipelineRun.state >= PipelineRunState.SUCCEEDED ? pipelineRun : undefined;
    },
    { timeoutMs: 25_000, what: `the end of ${name}` },
  );
  return Object.assign(run, { word: (wordFor(runStateOf, run.state) ?? '').toUpperCase() });
}

/** The tasks of a run by their keys. */
export async function tasksOf(
  { runs }: Clients,
  parent: string,
): Promise<Record<string, Task & { word: string }>> {
  const found: Record<string, Task & { word: string }> = {};
  let pageToken = '';
  do {
    const page = await runs.listTasks({ parent, pageSize: 1000, pageToken });
    for (const task of page.tasks)
      found[task.name.split('/').at(-1) ?? ''] = Object.assign(task, {
        word: (wordFor(taskStateOf, task.state) ?? '').toUpperCase(),
      });
    pageToken = page.nextPageToken;
  } while (pageToken);
  return found;
}

/** The states of tasks, for comparison. */
export const states = (tasks: Record<string, { word: string }>): Record<string, string> =>
  Object.fromEntries(Object.entries(tasks).map(([key, { word }]) => [key, word]));

/** The JSON of a task's value output. */
export function value(task: Task | undefined, output: string): unknown {
  const found = task?.outputs.find((o) => o.name === output);
  return found?.kind.case === 'value' ? toJson(ValueSchema, found.kind.value) : undefined;
}

/** The text of a log. */
export async function logOf({ runs }: Clients, name: string, follow = false): Promise<string> {
  let text = '';
  for await (const { data } of runs.getTaskLogs({ name, follow })) text += Buffer.from(data).toString();
  return text;
}
