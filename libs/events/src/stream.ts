import { type Context, streamOf } from '@millrace/contracts';
import type { StreamSettings, Streams } from './port.ts';

const dayMs = 24 * 60 * 60_000;

/** How long a stream keeps events. The store is the record; the stream only has to outlast an outage. */
export const streamAgeMs = 7 * dayMs;

/**
 * What a dead letter adds to its message at most. Both must fit into the MiB that a server takes: a message for which
 * there is no room could neither be handled nor be put away, and would stand in the way of all behind it.
 */
const noteBytes = 32 * 1024;

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
  bus: Pick<Streams, 'applyStream'>,
  context: Context,
  options: StreamOptions = {},
): Promise<void> {
  const { name, subjects } = streamOf(context);
  const description = `Events of ${context}; a copy of its record`;
  await bus.applyStream({ ...settingsOf(options, streamAgeMs), name, subjects, description });
}

/** The stream of messages that no consumer could handle, and its subjects `millrace-dead.<stream>.<durable>`. */
export const deadLetterStream = { name: 'MILLRACE_DEAD_LETTERS', subjects: ['millrace-dead.>'] } as const;

/** Makes the stream of dead letters; they are kept for 30 days. */
export async function ensureDeadLetters(
  bus: Pick<Streams, 'applyStream'>,
  options: StreamOptions = {},
): Promise<void> {
  const description = 'Messages that a consumer could not handle, with the reason';
  const settings = { ...settingsOf(options, 30 * dayMs), maxMessageBytes: 2 ** 20 };
  await bus.applyStream({ ...settings, ...deadLetterStream, description });
}

function settingsOf(
  options: StreamOptions,
  maxAgeMs: number,
): Omit<StreamSettings, 'name' | 'subjects' | 'description'> {
  return {
    maxAgeMs,
    maxBytes: options.maxBytes ?? 2 ** 30,
    maxMessageBytes: 2 ** 20 - noteBytes,
    replicas: options.replicas ?? 1,
    duplicateWindowMs: 10 * 60_000,
  };
}
