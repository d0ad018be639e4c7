import { type Context, streamOf } from '@millrace/contracts';
import { CodedError } from '@millrace/errors';
import {
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { Bus } from './bus.ts';
import { isMissing, orUnavailable } from './failures.ts';

const dayMs = 24 * 60 * 60_000;

/** How long a stream keeps events. The store is the record; the stream only has to outlast an outage. */
export const streamAgeMs = 7 * dayMs;

export interface StreamOptions {
  /** The most bytes a stream keeps; the oldest messages go first. @default 1 GiB */
  readonly maxBytes?: number;
  /** Copies in a cluster: 1, 3 or 5. @default 1 */
  readonly replicas?: number;
}

/**
 * Makes the stream of a context, or brings it to these settings, and reads them back: old servers drop settings they
 * do not know without an error. Throws STREAM_CONFIG_DIFFERS.
 */
export async function ensureStream(
  bus: Bus,
  context: Context,
  options: StreamOptions = {},
): Promise<StreamInfo> {
  const { name, subjects } = streamOf(context);
  const description = `Events of ${context}; a copy of its record`;
  return applyStream(await bus.manager(), {
    ...configOf(options, streamAgeMs),
    name,
    subjects: [...subjects],
    description,
  });
}

/** The stream of messages that no consumer could handle, and its subjects `millrace-dead.<stream>.<durable>`. */
export const deadLetterStream = { name: 'MILLRACE_DEAD_LETTERS', subjects: ['millrace-dead.>'] } as const;

/** Makes the stream of dead letters; they are kept for 30 days. */
export async function ensureDeadLetters(bus: Bus, options: StreamOptions = {}): Promise<StreamInfo> {
  return applyStream(await bus.manager(), {
    ...configOf(options, 30 * dayMs),
    name: deadLetterStream.name,
    subjects: [...deadLetterStream.subjects],
    description: 'Messages that a consumer could not handle, with the reason',
  });
}

function configOf(options: StreamOptions, ageMs: number) {
  return {
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: nanos(ageMs),
    max_bytes: options.maxBytes ?? 2 ** 30,
    num_replicas: options.replicas ?? 1,
    duplicate_window: nanos(10 * 60_000),
  };
}

type WantedConfig = Partial<StreamConfig> & Pick<StreamConfig, 'name'>;

/** Adds or updates a stream and compares what the server made of it. */
async function applyStream(manager: JetStreamManager, wanted: WantedConfig): Promise<StreamInfo> {
  const { name } = wanted;
  const found = await readStreamInfo(manager, name);
  if (found && differences(wanted, found.config).length === 0) return found;
  await orUnavailable(`stream ${name}`, () =>
    found ? manager.streams.update(name, wanted) : manager.streams.add(wanted),
  );
  const info = await orUnavailable(`stream ${name}`, () => manager.streams.info(name));
  requireSame(`stream ${name}`, wanted, info.config);
  return info;
}

/** The state of a stream; undefined when there is no such stream. */
export function readStreamInfo(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  return orUnavailable(`stream ${name}`, () =>
    manager.streams.info(name).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    }),
  );
}

/** Names the settings in which `actual` differs from what was wanted. */
export function differences(wanted: object, actual: object): string[] {
  const read = actual as Readonly<Record<string, unknown>>;
  return Object.entries(wanted)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(read[key]))
    .map(([key, value]) => `${key} is ${JSON.stringify(read[key])}, not ${JSON.stringify(value)}`);
}

/** Throws STREAM_CONFIG_DIFFERS when the server did not take over every setting. */
export function requireSame(what: string, wanted: object, actual: object): void {
  const found = differences(wanted, actual);
  if (found.length === 0) return;
  const message = `the server did not take over the settings of ${what}: ${found.join('; ')}; use nats-server 2.14 or newer`;
  throw new CodedError('failed_precondition', 'STREAM_CONFIG_DIFFERS', message);
}
