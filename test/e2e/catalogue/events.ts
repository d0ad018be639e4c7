import { fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { catalogue, contexts, type EventType, streamOf, subjectOf } from '@millrace/contracts';
import { type Bus, decodeMessage } from '@millrace/events';
import { publishRaw, type RawMessage, rawHeader, until } from '@millrace/testing';
import fc from 'fast-check';
import { extremeNumbers, type Filling, fill, hostileTexts } from '../hostile.ts';
import { spoil } from '../spoil.ts';

/** A durable consumer of some service, as the server knows it. */
export interface Listener {
  readonly stream: string;
  readonly durable: string;
  readonly types: readonly EventType[];
}

/** Every durable consumer there is, with the events it takes: what services really listen to, not what they say. */
export async function listeners(bus: Bus): Promise<readonly Listener[]> {
  const manager = await bus.manager();
  const found: Listener[] = [];
  for (const context of contexts) {
    const { name: stream } = streamOf(context);
    for await (const { config } of manager.consumers.list(stream)) {
      if (!config.durable_name) continue;
      const subjects = config.filter_subjects ?? [config.filter_subject ?? ''];
      const types = [...catalogue.values()].filter((type) => subjects.includes(subjectOf(type, '*')));
      found.push({ stream, durable: config.durable_name, types });
    }
  }
  return found;
}

/** Waits until the consumers have answered everything, also what they took: nothing stands in the way of anything. */
export async function settled(bus: Bus, all: readonly Listener[]): Promise<void> {
  const manager = await bus.manager();
  for (const { stream, durable } of all)
    await until(
      async () => {
        const { num_pending, num_ack_pending } = await manager.consumers.info(stream, durable);
        return num_pending === 0 && num_ack_pending === 0;
      },
      { what: `${durable} has answered all it was given`, timeoutMs: 40_000 },
    );
}

/** Data of events that really happened, of each type: what spoilt ones are made from. */
export async function samples(bus: Bus): Promise<ReadonlyMap<EventType, readonly Message[]>> {
  const found = new Map<EventType, Message[]>();
  for (const context of contexts)
    for await (const message of bus.read(streamOf(context).name)) {
      const type = catalogue.get(decodeMessage(message.headers, message.data).type);
      const kept = type ? (found.get(type) ?? []) : [];
      if (!type || kept.length >= 4) continue;
      kept.push(fromBinary(type.schema, message.data));
      found.set(type, kept);
    }
  return found;
}

const plain: Omit<Filling, 'budget'> = {
  pick: () => 0,
  text: () => undefined,
  number: () => undefined,
  items: () => 1,
  set: () => true,
  depth: 5,
};

function* wrongAlike(): Generator<Omit<Filling, 'budget'>> {
  yield { ...plain, set: () => false };
  yield plain;
  for (const text of hostileTexts) yield { ...plain, text: () => text };
  for (const number of extremeNumbers) yield { ...plain, number: () => number };
  yield { ...plain, depth: 60, pick: (below) => Math.max(0, below - 1) };
  yield { ...plain, depth: 2, items: () => 3000 };
}

/** How many spoilt copies of real events of each type are published. */
const spoilt = 30;

/** Right envelopes with absurd data: messages in which all is wrong alike, and real events with a field or two spoilt. */
export async function absurdData(
  type: EventType,
  real: readonly Message[],
  seed: number,
): Promise<readonly Uint8Array[]> {
  const { schema } = type;
  const made: Message[] = [];
  for (const filling of wrongAlike()) made.push(fill(schema, { ...filling, budget: { left: 4000 } }));
  if (real.length > 0)
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(2 ** 30)), (numbers) => {
        const pick = (below: number) => (below <= 0 ? 0 : Number(numbers.next().value) % below);
        const good = real[pick(real.length)];
        if (good) made.push(spoil(schema, good, 1 + pick(2), pick));
      }),
      { seed, numRuns: spoilt },
    );
  // What is larger is not taken by the stream.
  return made.map((message) => toBinary(schema, message)).filter((data) => data.length < 900_000);
}

/** Publishes data as events of a type with everything else right; `id` must differ each time. */
export function envelope(type: EventType, project: string, id: string, data: Uint8Array): RawMessage {
  const header = rawHeader(
    'ce-specversion: 1.0',
    `ce-id: ${id}`,
    `ce-source: /millrace/${type.context}/${project}`,
    `ce-type: ${type.type}`,
    `ce-subject: projects/${project}/hostile/${id}`,
    'ce-time: 2001-06-04T05:00:00Z',
  );
  return { subject: subjectOf(type, project), header, data };
}

/** What is no event at all: bytes, headers, JSON and versions that nobody wrote. */
export function nonsense(type: EventType): readonly RawMessage[] {
  const subject = subjectOf(type, 'default');
  const attributes = `"specversion":"1.0","id":"j","source":"/x/default","type":"${type.type}","time":"2001-06-04T05:00:00Z"`;
  const json = (text: string) => ({
    subject,
    header: rawHeader('Content-Type: application/cloudevents+json'),
    data: Buffer.from(text),
  });
  const good = envelope(type, 'default', 'n', Buffer.from([0xff, 0xff, 0xff]));
  const header = String(good.header);
  return [
    { subject, data: Buffer.from([0, 1, 2, 0xff]) },
    { subject, header: rawHeader('ce id: x') },
    { subject, header: rawHeader('ce-id: a\nb') },
    good,
    { ...good, header: Buffer.from(header.replace('ce-type: ', 'ce-type: x')) },
    { ...good, header: Buffer.from(header.replace(/\.v1\r\n/, '.v99\r\n')) },
    { ...good, header: Buffer.from(header.replace('/default\r\n', '/other\r\n')) },
    { ...good, header: Buffer.from(header.replace('ce-time: 2001', 'ce-time: -2001')) },
    { ...good, data: Buffer.alloc(900_000, 0xff) },
    json(`{${attributes},"data":${'['.repeat(300_000)}`),
    json(`{${attributes},"data_base64":"!!!!"}`),
    json(`[${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}]`),
  ];
}

/** Publishes and waits for the answers of all consumers. */
export async function publishAll(
  bus: Bus,
  url: string,
  messages: readonly RawMessage[],
  all: readonly Listener[],
): Promise<void> {
  await publishRaw(url, messages);
  await settled(bus, all);
}
