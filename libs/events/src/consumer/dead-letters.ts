import { notFound } from '@millrace/errors';
import { decodeMessage, type Envelope } from '../cloud-events.ts';
import { decodeHeaderValue, encodeHeaderValue } from '../percent.ts';
import type { Delivery, MessageHeaders, StoredMessage, Streams } from '../port.ts';
import { deadLetterStream } from '../stream.ts';

/** Names the one consumer that a redriven message is for; all others pass over it. */
export const redriveHeader = 'millrace-redrive-for';

/** A message that a consumer could not handle. */
export interface DeadLetter {
  /** Its place among the dead letters; names it to {@link redrive}. */
  readonly sequence: number;
  readonly stream: string;
  readonly durable: string;
  /** The subject it had. */
  readonly subject: string;
  /** Why it could not be handled, in words. */
  readonly reason: string;
  /** The stable code of the reason. */
  readonly code: string;
  /** How often handling was tried. */
  readonly attempts: number;
  readonly deadSinceMs: number;
  /** The event; undefined when the message was not one. */
  readonly event?: Envelope;
  readonly data: Uint8Array;
}

export interface Death {
  readonly durable: string;
  readonly reason: string;
  readonly code: string;
  readonly attempts: number;
}

/** Puts a message among the dead letters, with its headers and the reason. Throws `unavailable`. */
export async function bury(bus: Pick<Streams, 'send'>, message: Delivery, death: Death): Promise<void> {
  const { stream } = message;
  const kept = copyHeaders(message.headers);
  const notes = {
    reason: death.reason.slice(0, 2_000),
    code: death.code,
    attempts: String(death.attempts),
    subject: message.subject,
    stream,
    durable: death.durable,
  };
  for (const [name, text] of Object.entries(notes))
    kept.set(`millrace-dead-${name}`, encodeHeaderValue(text));
  await bus.send({
    subject: `millrace-dead.${stream}.${death.durable}`,
    headers: kept,
    data: message.data,
    // With its time: after a loss another message may be at this place.
    id: `${stream}:${message.seq}:${message.time.getTime()}:${death.durable}`,
  });
}

export interface DeadLetterQuery {
  /** Only those of this consumer. */
  readonly durable?: string;
  /** Only those after this place. */
  readonly after?: number;
  /** @default 100 */
  readonly limit?: number;
}

/** Lists dead letters, oldest first. */
export async function listDeadLetters(
  bus: Pick<Streams, 'read'>,
  query: DeadLetterQuery = {},
): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  for await (const message of readDead(bus, query)) {
    found.push(describe(message));
    if (found.length === (query.limit ?? 100)) break;
  }
  return found;
}

/**
 * Gives dead letters back to the consumers that could not handle them: all of one, or one by its place. Other
 * consumers of the same stream do not handle them again. Returns how many were given back; NOT_FOUND when `sequence`
 * names none.
 */
export async function redrive(
  bus: Pick<Streams, 'read' | 'send' | 'removeMessage'>,
  query: { readonly durable?: string; readonly sequence?: number },
): Promise<number> {
  let count = 0;
  const { sequence } = query;
  const from = sequence === undefined ? {} : { after: sequence - 1 };
  for await (const message of readDead(bus, { ...query, ...from })) {
    if (sequence !== undefined && message.seq !== sequence) break;
    await giveBack(bus, message);
    count++;
    if (sequence !== undefined) return count;
  }
  if (sequence !== undefined) throw notFound(`dead letter ${sequence}`);
  return count;
}

async function giveBack(bus: Pick<Streams, 'send' | 'removeMessage'>, message: StoredMessage): Promise<void> {
  const letter = describe(message);
  const restored = copyHeaders(message.headers);
  restored.set(redriveHeader, letter.durable);
  // The id carries the letter's place: the stream still knows the event's own, and would drop it.
  const id = `redrive:${message.seq}:${letter.durable}:${letter.deadSinceMs}`;
  await bus.send({ subject: letter.subject, headers: restored, data: message.data, id });
  await bus.removeMessage(deadLetterStream.name, message.seq);
}

async function* readDead(bus: Pick<Streams, 'read'>, query: DeadLetterQuery): AsyncIterable<StoredMessage> {
  const subjects = query.durable ? { subjects: [`millrace-dead.*.${query.durable}`] } : {};
  const from = query.after === undefined ? {} : { from: query.after + 1 };
  for await (const message of bus.read(deadLetterStream.name, { ...subjects, ...from }))
    if (isOurs(message)) yield message;
}

/** Whether {@link bury} can have put the message there: a redrive publishes to the subject that it names. */
function isOurs(message: StoredMessage): boolean {
  const place = `millrace-dead.${noteOf(message, 'stream')}.${noteOf(message, 'durable')}`;
  return message.subject === place && /^millrace(\.[^.\s*>]+)+$/.test(noteOf(message, 'subject'));
}

function noteOf(message: StoredMessage, name: string): string {
  try {
    return decodeHeaderValue(message.headers?.get(`millrace-dead-${name}`) ?? '');
  } catch {
    return '';
  }
}

function describe(message: StoredMessage): DeadLetter {
  const note = (name: string) => noteOf(message, name);
  const event = readEvent(message);
  return {
    sequence: message.seq,
    stream: note('stream'),
    durable: note('durable'),
    subject: note('subject'),
    reason: note('reason'),
    code: note('code'),
    attempts: Number(note('attempts')),
    deadSinceMs: message.time.getTime(),
    ...(event ? { event } : {}),
    data: message.data,
  };
}

function readEvent(message: StoredMessage): Envelope | undefined {
  try {
    return decodeMessage(message.headers, message.data);
  } catch {
    return undefined;
  }
}

/** Copies what belongs to the event; `Nats-` headers belong to the stream it was in. */
function copyHeaders(found: MessageHeaders | undefined): Map<string, string> {
  const copy = new Map<string, string>();
  for (const key of found?.keys() ?? []) {
    const lower = key.toLowerCase();
    if (lower.startsWith('nats-') || lower.startsWith('millrace-')) continue;
    copy.set(key, found?.get(key) ?? '');
  }
  return copy;
}
