import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { type Context, streamOf, trackingEvents } from '@millrace/contracts';
import { openDocuments } from '@millrace/documents';
import { type Bus, decodeMessage } from '@millrace/events';
import type { TestService } from '@millrace/testing';
import type { BatchLoad } from './batch-load.ts';
import type { Outcome } from './scenario.ts';
import { tally } from './tally.ts';

const { metricsLogged } = trackingEvents;

/** An event as a stream holds it. */
export interface Streamed {
  readonly id: string;
  readonly type: string;
  readonly resource: string;
  /** Its place in the record of its service. */
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** What the stream of a context holds now, in its order. */
export async function readEvents(bus: Bus, context: Context): Promise<Streamed[]> {
  const events: Streamed[] = [];
  for await (const message of bus.read(streamOf(context).name))
    events.push(decodeMessage(message.headers, message.data));
  return events;
}

/** How many messages the stream of a context holds, or once held; 0 while nobody can tell. */
export async function lastInStream(bus: Bus, context: Context): Promise<number> {
  if (!bus.connected) return 0;
  return (await bus.readState(streamOf(context).name).catch(() => undefined))?.last ?? 0;
}

export interface CompareOptions {
  /** How long the stream may lag, in milliseconds. @default 60000 */
  readonly lagMs?: number;
  /** A stream that was refilled holds everything, in another order. @default true */
  readonly ordered?: boolean;
}

/** Waits for the relay and compares the acknowledged batches of a load with their events in the stream of tracking. */
export async function batchesInStream(
  load: BatchLoad,
  bus: Bus,
  options: CompareOptions = {},
): Promise<Outcome> {
  const end = performance.now() + (options.lagMs ?? 60_000);
  for (;;) {
    const events = (await readEvents(bus, 'tracking')).filter(({ type }) => type === metricsLogged.type);
    const held = events.map(({ data }) => fromBinary(metricsLogged.schema, data).batch);
    const outcome = tally(load.batches, held, load.unanswered);
    if (outcome.lost > 0 && performance.now() < end) {
      await sleep(250);
      continue;
    }
    const order = options.ordered === false ? [] : eventsOutOfOrder(events);
    return { ...outcome, breaches: [...load.surprises, ...outcome.breaches, ...order].slice(0, 10) };
  }
}

/** Says where events about one resource do not come in the order in which they happened. */
export function eventsOutOfOrder(events: readonly Streamed[]): string[] {
  const last = new Map<string, number>();
  return events.flatMap(({ resource, sequence }) => {
    const before = last.get(resource) ?? 0;
    last.set(resource, Math.max(before, sequence));
    return sequence < before ? [`${resource}: event ${sequence} comes after ${before}`] : [];
  });
}

/**
 * Takes the protection away that a relay remembers what it published only afterwards: lets the relay of a service that
 * is not running believe that it published everything.
 */
export async function forgetBacklog(
  service: Pick<TestService, 'name' | 'dataDir'>,
  context: Context,
): Promise<void> {
  const store = await openDocuments({
    url: `sqlite:${service.dataDir}/${service.name}/documents.db`,
    collections: [],
  });
  await store.cursors.set(`relay-${context}`, await store.events.last());
  await store.close();
}
