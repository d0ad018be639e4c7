import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@millrace/errors';
import { connect, type Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { insist } from './insist.ts';

/** Clients that log batches of points to tracking, each its own steps one after the other, whatever happens. */
export interface BatchLoad {
  readonly millrace: Millrace;
  /** The runs the points are in. */
  readonly runs: readonly string[];
  /** Points whose call answered OK, as `client/step`. */
  readonly acknowledged: ReadonlySet<string>;
  /** Batches whose call answered OK, as their events name them. */
  readonly batches: ReadonlySet<string>;
  /** Points and batches that were sent and got no answer. */
  readonly unanswered: ReadonlySet<string>;
  /** How many tries failed because the service was away. */
  readonly failures: number;
  /** Answers that nobody should get. */
  readonly surprises: readonly string[];
  /** Ends after the calls under way, which are not tried again. */
  stop(): Promise<void>;
  close(): void;
}

export interface BatchLoadOptions {
  /** Where tracking listens. */
  readonly address: string;
  /** @default 32 */
  readonly clients?: number;
  /** @default 4 */
  readonly runs?: number;
  /** Each client rests that long after each batch, in milliseconds. @default 0 */
  readonly restMs?: number;
  /** How long a try may take, in milliseconds. @default 5000 */
  readonly deadlineMs?: number;
  /** Leaves the request id out, so that no try can be told from the one before it. @default false */
  readonly forgetful?: boolean;
}

/** How many points a batch has. */
const batchSize = 3;

/** Starts the load once its runs are made. */
export async function startBatchLoad(options: BatchLoadOptions): Promise<BatchLoad> {
  const { address, clients = 32, restMs = 0, deadlineMs = 5_000, forgetful = false } = options;
  const millrace = connect({ endpoints: { services: { tracking: address } }, project: 'default' });
  const names = Array.from({ length: options.runs ?? 4 }, async (_, index) => {
    const { run } = await millrace.tracking.createRun({
      parent: millrace.parent,
      run: {},
      requestId: `run-${index}`,
    });
    return run?.name ?? '';
  });
  const runs = await Promise.all(names);
  const acknowledged = new Set<string>();
  const batches = new Set<string>();
  const unanswered = new Set<string>();
  const surprises: string[] = [];
  let failures = 0;
  let stopping = false;

  /** Logs one batch, again and again with the same request id until it is answered. False when that never happened. */
  async function log(name: string, client: number, batch: number): Promise<boolean> {
    const steps = Array.from({ length: batchSize }, (_, index) => batch * batchSize + index);
    const metrics = steps.map((step) => ({ key: keyOf(client), value: step, step: BigInt(step) }));
    const requestId = forgetful ? '' : `${keyOf(client)}-${batch}`;
    for (;;) {
      try {
        await millrace.tracking.logBatch({ name, metrics, requestId }, { deadlineMs });
        for (const step of steps) acknowledged.add(`${keyOf(client)}/${step}`);
        batches.add(batchId(name, requestId));
        return true;
      } catch (error) {
        failures++;
        if (!isCoded(error, 'unavailable') && !isCoded(error, 'deadline_exceeded'))
          surprises.push(String(error));
        if (stopping || surprises.length > 10) {
          for (const step of steps) unanswered.add(`${keyOf(client)}/${step}`);
          unanswered.add(batchId(name, requestId));
          return false;
        }
        await sleep(20 + Math.random() * 80);
      }
    }
  }

  const working = Array.from({ length: clients }, async (_, client) => {
    for (let batch = 0; !stopping; batch++) {
      if (!(await log(runs[client % runs.length]!, client, batch))) return;
      await sleep(restMs);
    }
  });
  return {
    millrace,
    runs,
    acknowledged,
    batches,
    unanswered,
    surprises,
    get failures() {
      return failures;
    },
    stop: async () => {
      stopping = true;
      await Promise.all(working);
    },
    close: () => millrace.close(),
  };
}

const keyOf = (client: number) => `client-${client}`;

/** The name that the event of a batch gives it. */
function batchId(run: string, requestId: string): string {
  const [, project, , id] = run.split('/');
  return `${project}/${id}/r:${requestId}`;
}

/** Waits until the service answers again: the client of a load takes its time to come back to one that was away. */
export async function answers({ millrace }: BatchLoad): Promise<void> {
  const { tracking, parent } = millrace;
  await until(() => tracking.searchRuns({ parent }), {
    what: 'an answer after the restart',
    timeoutMs: 30_000,
  });
}

/** The points that are there, as `client/step`, in the order in which tracking says they were logged. */
export async function readPoints({ millrace, runs }: BatchLoad): Promise<string[]> {
  const points: string[] = [];
  for (const name of runs) {
    const keys = insist(() => millrace.tracking.listMetricKeys({ parent: name, pageSize: 1_000 }));
    const { metrics } = await keys.catch(noneOfALostRun);
    for (const { key } of metrics)
      for (let pageToken = ''; ; ) {
        const request = { name, key, pageSize: 10_000, pageToken };
        const page = await insist(() => millrace.tracking.getMetricHistory(request));
        for (const { step } of page.points) points.push(`${key}/${step}`);
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
  }
  return points;
}

function noneOfALostRun(error: unknown) {
  if (!isCoded(error, 'not_found')) throw error;
  return { metrics: [] };
}

/** Says where the steps of a client do not rise. */
export function stepsOutOfOrder(points: readonly string[]): string[] {
  const last = new Map<string, number>();
  return points.flatMap((point) => {
    const [client = '', step] = point.split('/');
    const before = last.get(client) ?? -1;
    last.set(client, Number(step));
    return Number(step) < before ? [`${client}: step ${step} comes after ${before}`] : [];
  });
}
