import { createHash, randomUUID } from 'node:crypto';
import { names } from '@millrace/contracts';
import { RunStatus } from '@millrace/contracts/tracking';
import { isCoded } from '@millrace/errors';
import type { Millrace } from './client.ts';
import { currentTask } from './step.ts';

export interface StartRunOptions {
  /** The experiment's name; it is made if there is none. @default the default experiment */
  readonly experiment?: string;
  readonly name?: string;
  readonly params?: Readonly<Record<string, string | number | boolean>>;
  readonly tags?: Readonly<Record<string, string>>;
  /** The data it learns from. */
  readonly inputs?: readonly { readonly name: string; readonly digest: string; readonly source?: string }[];
  /** Starting again with the same key, and the same experiment and name, gives the same run: so a retried step does. */
  readonly key?: string;
}

/**
 * A run that is being logged. Calls are buffered in order, sent in the background and counted once even when they are tried
 * again. What could not be sent is thrown by the next `flush` or `finish`.
 */
export interface RunLogger {
  /** `projects/{project}/runs/{run}` */
  readonly name: string;
  /** Logs values of metrics at a step. */
  metrics(values: Readonly<Record<string, number>>, step?: number): void;
  params(values: Readonly<Record<string, string | number | boolean>>): void;
  tags(values: Readonly<Record<string, string>>): void;
  /** Uploads an artifact; durable when it answers. */
  artifact(path: string, bytes: Uint8Array, mediaType?: string): Promise<void>;
  /** Sends what is buffered. */
  flush(): Promise<void>;
  finish(status?: 'finished' | 'failed' | 'killed'): Promise<void>;
}

/** Points sent in one call at the most. */
const batchPoints = 1000;
/** Params or tags sent in one call at the most. */
const batchPairs = 200;
/** How long points wait for others, in milliseconds. */
const lingerMs = 200;
const chunkBytes = 512 * 1024;
const statuses = { finished: RunStatus.FINISHED, failed: RunStatus.FAILED, killed: RunStatus.KILLED };

/** Starts a run and logs to it. In a step of a pipeline the run belongs to the step's task, and ends with it. */
export async function startRun(millrace: Millrace, options: StartRunOptions = {}): Promise<RunLogger> {
  const { tracking, parent } = millrace;
  const experiment = await experimentNamed(millrace, options.experiment);
  const key = options.key ?? randomUUID();
  // A call that is tried again is counted once. A run that is started again with its key logs anew: it takes other turns
  // than it did before it was cut short.
  const session = randomUUID();
  const task = currentTask();
  const { run } = await tracking.createRun({
    parent,
    run: {
      experiment,
      status: RunStatus.RUNNING,
      // Tracking ends a run with the task that began it, should the step die before it does.
      tags: task ? [{ key: 'millrace.task', value: task }] : [],
      ...(options.name ? { displayName: options.name } : {}),
    },
    requestId: `run-${key}`,
  });
  const name = run?.name ?? '';
  let points: { key: string; value: number; step: bigint; timestampMs: bigint }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let sending = Promise.resolve();
  let failure: unknown;
  let calls = 0;

  const log = (batch: Parameters<typeof tracking.logBatch>[0]) => {
    const requestId = `${session}-${calls++}`;
    sending = sending
      .then(() => tracking.logBatch({ ...batch, name, requestId }))
      .then(
        () => undefined,
        (error: unknown) => {
          failure ??= error;
        },
      );
  };
  const send = () => {
    clearTimeout(timer);
    timer = undefined;
    for (let at = 0; at < points.length; at += batchPoints)
      log({ name, metrics: points.slice(at, at + batchPoints) });
    points = [];
  };
  const flush = async () => {
    send();
    await sending;
    if (failure) throw failure;
  };

  const logger: RunLogger = {
    name,
    metrics: (values, step = 0) => {
      const timestampMs = BigInt(Date.now());
      for (const [metric, value] of Object.entries(values))
        points.push({ key: metric, value, step: BigInt(step), timestampMs });
      if (points.length >= batchPoints) send();
      else timer ??= setTimeout(send, lingerMs).unref();
    },
    params: (values) => {
      for (const params of pages(pairs(values))) log({ name, params });
    },
    tags: (values) => {
      for (const tags of pages(pairs(values))) log({ name, tags });
    },
    artifact: async (path, bytes, mediaType = '') => {
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      await tracking.uploadArtifact(parts({ run: name, path, digest, mediaType }, bytes), {
        deadlineMs: 120_000,
      });
    },
    flush,
    finish: async (status = 'finished') => {
      try {
        await flush();
      } finally {
        // Also when something could not be logged: a run that is left open would look as if it went on.
        await tracking.finishRun({ name, status: statuses[status], requestId: `${session}-finish` });
      }
    },
  };
  if (options.params) logger.params(options.params);
  if (options.tags) logger.tags(options.tags);
  if (options.inputs?.length) {
    const datasets = options.inputs.map((input) => ({
      dataset: { name: input.name, digest: input.digest, source: input.source ?? '', sourceType: 'millrace' },
    }));
    await tracking.logInputs({ name, inputs: datasets, requestId: `${session}-inputs` });
  }
  return logger;
}

async function experimentNamed(
  { tracking, parent, project }: Millrace,
  displayName: string | undefined,
): Promise<string> {
  if (displayName === undefined) return names.experiment.format({ project, experiment: '0' });
  const find = async () => (await tracking.listExperiments({ parent, displayName })).experiments[0]?.name;
  const found = await find();
  if (found) return found;
  try {
    const made = await tracking.createExperiment({ parent, experiment: { displayName } });
    return made.experiment?.name ?? '';
  } catch (error) {
    // Another run made it at the same time.
    const name = isCoded(error, 'already_exists') ? await find() : undefined;
    if (name) return name;
    throw error;
  }
}

function pairs(values: Readonly<Record<string, string | number | boolean>>) {
  return Object.entries(values).map(([key, value]) => ({ key, value: String(value) }));
}

function pages<T>(list: readonly T[]): T[][] {
  const count = Math.ceil(list.length / batchPairs);
  return Array.from({ length: count }, (_, i) => list.slice(i * batchPairs, (i + 1) * batchPairs));
}

async function* parts(
  header: { run: string; path: string; digest: string; mediaType: string },
  bytes: Uint8Array,
) {
  yield { part: { case: 'header', value: header } } as const;
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield { part: { case: 'chunk', value: bytes.subarray(at, at + chunkBytes) } } as const;
  }
}
