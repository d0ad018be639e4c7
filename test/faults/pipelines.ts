import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type DescEnum, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { pipelinesEvents } from '@millrace/contracts';
import {
  type AttemptState,
  type PipelineRun,
  PipelineRunState,
  type PipelineSpecSchema,
  type StepSchema,
  type Task,
} from '@millrace/contracts/pipelines';
import { connect, type Millrace } from '@millrace/sdk';
import {
  type Race,
  startNats,
  startService,
  type TempDir,
  type TestService,
  tempDir,
  until,
} from '@millrace/testing';
import { readRecord } from './demo/records.ts';

type StepInit = MessageInitShape<typeof StepSchema>;

/** An orchestrator and NATS as processes, and a client of it. */
export interface Workshop extends AsyncDisposable {
  readonly service: TestService;
  readonly millrace: Millrace;
  readonly nats: Awaited<ReturnType<typeof startNats>>;
  /** Where steps of the scenario write what they did: a step sees it as `$MARKS`. */
  readonly marks: TempDir;
  /** The orchestrator's environment, for another life or another replica of it. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Starts an orchestrator for a scenario, with room for as many steps as it likes. */
export async function startWorkshop(
  env: Readonly<Record<string, string>> = {},
  race?: Race,
): Promise<Workshop> {
  const marks = tempDir('millrace-marks-');
  const nats = await startNats();
  const settings = { NATS_URL: nats.url, STEP_CPU: '1000', LOG_LEVEL: 'warn', ...env };
  const service = await startService('orchestrator', { env: settings, ...(race ? { race } : {}) });
  const millrace = clientOf(service);
  return {
    service,
    millrace,
    nats,
    marks,
    settings,
    async [Symbol.asyncDispose]() {
      millrace.close();
      await service.stop();
      await nats.stop();
      await marks.remove();
    },
  };
}

/** Another replica: the same documents, but a folder, and so a parent of steps, of its own. */
export async function startReplica(
  at: Workshop,
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<AsyncDisposable & { readonly service: TestService; readonly millrace: Millrace }> {
  const documents = 'orchestrator/documents.db';
  mkdirSync(join(dataDir, 'orchestrator'));
  symlinkSync(join(at.service.dataDir, documents), join(dataDir, documents));
  const service = await startService('orchestrator', { env: { ...at.settings, ...env }, dataDir });
  const millrace = clientOf(service);
  return {
    service,
    millrace,
    async [Symbol.asyncDispose]() {
      millrace.close();
      await service.stop();
    },
  };
}

/** A client of an orchestrator alone. */
const clientOf = (service: Pick<TestService, 'address'>): Millrace =>
  connect({ endpoints: { services: { pipelines: service.address } }, project: 'default' });

/** A step that runs a piece of shell; it notes what it does in files of the folder `$MARKS`. */
export function shell(
  { marks }: Pick<Workshop, 'marks'>,
  name: string,
  script: string,
  rest: ShellStep = {},
): StepInit {
  const { command, env = {}, ...others } = rest;
  const argv = ['/bin/sh', '-c', script];
  const variables = Object.entries({ MARKS: marks.path, ...env }).map(([key, value]) => ({
    name: key,
    value,
  }));
  return { name, action: { case: 'command', value: { argv, env: variables, ...command } }, ...others };
}

interface ShellStep extends Partial<Omit<StepInit, '$typeName' | 'action' | 'name'>> {
  readonly command?: object;
  readonly env?: Readonly<Record<string, string>>;
}

/** The lines of a file that steps append to; a line that is being written is left out. */
export function linesOf({ marks }: Pick<Workshop, 'marks'>, file: string): string[] {
  try {
    return readFileSync(`${marks.path}/${file}`, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

/** Applies a pipeline and starts a run of it; answers the run's name. */
export async function launch(
  { pipelines, pipelineRuns, parent }: Millrace,
  pipeline: string,
  spec: MessageInitShape<typeof PipelineSpecSchema>,
): Promise<string> {
  const name = `${parent}/pipelines/${pipeline}`;
  await pipelines.applyPipeline({ pipeline: { name, spec } });
  const { pipelineRun } = await pipelineRuns.createPipelineRun({ parent, pipelineRun: { pipeline: name } });
  return pipelineRun!.name;
}

/** A run that has ended; undefined while it goes on. */
export async function isOver({ pipelineRuns }: Millrace, name: string): Promise<PipelineRun | undefined> {
  const { pipelineRun } = await pipelineRuns.getPipelineRun({ name });
  return pipelineRun && pipelineRun.state >= PipelineRunState.SUCCEEDED ? pipelineRun : undefined;
}

/** Waits for a run's end. */
export const finished = (millrace: Millrace, name: string, timeoutMs = 60_000): Promise<PipelineRun> =>
  until(() => isOver(millrace, name), { timeoutMs, what: `the end of ${name}` });

/** The tasks of a run. */
export async function tasksOf({ pipelineRuns }: Millrace, parent: string): Promise<Task[]> {
  const found: Task[] = [];
  let pageToken = '';
  do {
    const page = await pipelineRuns.listTasks({ parent, pageSize: 1000, pageToken });
    found.push(...page.tasks);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return found;
}

/** A task's key in its run: the step's name, and the item's index behind it. */
export const keyOf = ({ name }: Pick<Task, 'name'>): string => name.slice(name.lastIndexOf('/') + 1);

/** How many attempts of a task came to this state. */
export const attemptsIn = (task: Pick<Task, 'attempts'>, state: AttemptState): number =>
  task.attempts.filter((attempt) => attempt.state === state).length;

/** The tasks of which the record tells that an attempt ended so, each as often as it tells it. */
export async function endsOf(millrace: Millrace, state: AttemptState): Promise<string[]> {
  const { type, schema } = pipelinesEvents.attemptFinished;
  const events = (await readRecord(millrace, 'pipelines', [type])).map(({ data }) =>
    fromBinary(schema, data),
  );
  return events.filter(({ attempt }) => attempt?.state === state).map(({ task }) => keyOf({ name: task }));
}

/** The text of an artifact that a task produced. */
export async function outputOf({ pipelineRuns }: Millrace, { name }: Task, output: string): Promise<string> {
  let text = '';
  for await (const { data } of pipelineRuns.downloadTaskOutput({ name, output }))
    text += Buffer.from(data).toString();
  return text;
}

/** The word for a state. */
export const wordOf = (schema: DescEnum, state: number): string =>
  schema.value[state]?.localName ?? `${state}`;

/** Whether a process still runs; one that ended and was not yet collected by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

/** The supervisor of a step's process: its parent. Throws when the process has lost it already. */
export function supervisorOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  const command = readFileSync(`/proc/${parent}/cmdline`, 'utf8');
  if (!command.includes('supervisor.ts')) throw new Error(`the parent of ${pid} is no supervisor`);
  return parent;
}
