import { unavailable } from '@millrace/errors';
import {
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import { headers, type MsgHdrs, nanos } from '@nats-io/transport-node';
import type {
  MessageHeaders,
  OutgoingMessage,
  Sent,
  StoredMessage,
  StreamSettings,
  StreamState,
} from '../port.ts';
import type { Link } from './bus.ts';
import { isMissing, orUnavailable } from './failures.ts';
import { readHeaders } from './headers.ts';
import { differences, requireSame } from './settings.ts';

/** Stores a message and waits for the stream's word, over one connection. */
export async function send(link: Link, message: OutgoingMessage): Promise<Sent> {
  const client = await link.jetstream();
  const answer = client.publish(message.subject, message.data, {
    headers: toHeaders(message.headers),
    msgID: message.id,
    ...(message.after === undefined ? {} : { expect: { lastMsgID: message.after } }),
    timeout: message.timeoutMs ?? 5_000,
  });
  return orUnavailable(`publishing to ${message.subject}`, () => untilReconnected(link, answer));
}

/** An answer asked for over a connection that was lost will not come: there is no need to wait for the time-out. */
export function untilReconnected<T>(link: Link, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const off = link.onConnect(() => reject(unavailable('NATS: the connection was lost; the stream')));
    answer.then(resolve, reject).finally(off);
  });
}

/** Adds or updates a stream and compares what the server made of it: old servers drop settings without an error. */
export async function applyStream(manager: JetStreamManager, settings: StreamSettings): Promise<void> {
  const { name } = settings;
  const wanted = {
    name,
    subjects: [...settings.subjects],
    description: settings.description,
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: nanos(settings.maxAgeMs),
    max_bytes: settings.maxBytes,
    max_msg_size: settings.maxMessageBytes,
    num_replicas: settings.replicas,
    duplicate_window: nanos(settings.duplicateWindowMs),
  };
  const found = await streamInfo(manager, name);
  if (found && differences(wanted, found.config).length === 0) return;
  await orUnavailable(`stream ${name}`, () =>
    found ? manager.streams.update(name, wanted) : manager.streams.add(wanted),
  );
  const info = await orUnavailable(`stream ${name}`, () => manager.streams.info(name));
  requireSame(`stream ${name}`, wanted, info.config);
}

export async function readState(manager: JetStreamManager, name: string): Promise<StreamState | undefined> {
  const info = await streamInfo(manager, name);
  if (!info) return undefined;
  const { state, config, created } = info;
  return {
    createdMs: Date.parse(created),
    messages: state.messages,
    bytes: state.bytes,
    maxBytes: config.max_bytes,
    // An empty stream may tell 0.
    first: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
    last: state.last_seq,
    firstMs: state.messages === 0 ? 0 : Date.parse(state.first_ts),
  };
}

export async function readMessage(
  manager: JetStreamManager,
  stream: string,
  seq: number,
): Promise<StoredMessage | undefined> {
  const found = await orUnavailable(`stream ${stream}`, () => manager.streams.getMessage(stream, { seq }));
  if (!found) return undefined;
  const { subject, data, time } = found;
  return { subject, headers: readHeaders(() => found.header), data, seq, time };
}

export async function removeMessage(manager: JetStreamManager, stream: string, seq: number): Promise<void> {
  await orUnavailable(`stream ${stream}`, () =>
    manager.streams.deleteMessage(stream, seq).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    }),
  );
}

function streamInfo(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  return orUnavailable(`stream ${name}`, () =>
    manager.streams.info(name).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    }),
  );
}

function toHeaders(found: MessageHeaders | undefined): MsgHdrs {
  const made = headers();
  for (const key of found?.keys() ?? []) made.set(key, found?.get(key) ?? '');
  return made;
}
