import { registryEvents, servingEvents } from '@millrace/contracts';
import { type DocumentStore, defineCollection } from '@millrace/documents';
import { draft, handler, type Log, type Streams, startRelay, subscribe } from '@millrace/events';
import { unreliable } from '@millrace/testing';
import { weaken } from './controls.ts';
import { createLink, type SimLink } from './link.ts';
import type { Life } from './process.ts';
import { storeOf } from './store.ts';
import type { World } from './world.ts';

/** Which operations took effect on a resource, and the sequence numbers of the events that told of them. */
interface Effects {
  readonly operations: readonly string[];
  readonly sequences: readonly number[];
}

export const effects = defineCollection<Effects, never>({ name: 'effects', fields: {}, indexes: [] });
const outbox = defineCollection<object, never>({ name: 'outbox', fields: {}, indexes: [] });
export const collections = [effects, outbox];

/** What runs in a process: the relay of its record and a subscription to the other side's events. */
export interface Actor {
  readonly link: SimLink;
  /** A change that a client asks for. */
  write(operation: string, resource: string, attempt: number): Promise<void>;
}

/** The side that takes calls: it tells of each, and listens to what becomes of it. */
export function startOwner(world: World, life: Life): Actor {
  const { store, bus, link, clock, log } = parts(world, life, world.stores.registry);
  startRelay({ store, bus, context: 'registry', log, clock, random: world.chance.random });
  const on = [
    handler(servingEvents.modelLoaded, async ({ id, sequence, data }) => {
      const change = takeEffect(world, 'the echo', data.modelVersion, sequence);
      const cause = world.control === 'the cause of a change' ? {} : { cause: id };
      await store
        .collection(effects)
        .upsert(`echo/${data.deployment}`, (doc) => ({ doc: change(doc) }), cause);
    }),
  ];
  void subscribe(bus, {
    durable: 'echo',
    on,
    log,
    clock,
    random: world.chance.random,
    ordered: world.ordered,
  });
  return {
    link,
    async write(operation, resource, attempt) {
      const change = takeEffect(world, 'the record', operation, 0);
      const data = { name: operation };
      const id = `${operation}.${attempt}`;
      const event = draft(registryEvents.aliasMoved, {
        id,
        project: 'default',
        resource,
        data,
        timeMs: clock.now(),
      });
      const apart = world.control === 'events in the same write as their change';
      await store
        .collection(effects)
        .upsert(
          resource,
          (doc) => ({ doc: change(doc), ...(apart ? {} : { emit: [event] }) }),
          world.control === 'the request id of a call' ? {} : { requestId: operation },
        );
      if (apart) await store.collection(outbox).upsert(id, () => ({ doc: {}, emit: [event] }));
    },
  };
}

/** The side that listens: it projects what it hears, and tells of that. */
export function startListener(world: World, life: Life): Omit<Actor, 'write'> {
  const { store, bus, link, clock, log } = parts(world, life, world.stores.serving);
  startRelay({ store, bus, context: 'serving', log, clock, random: world.chance.random });
  let attempts = 0;
  const on = [
    handler(registryEvents.aliasMoved, async ({ id, sequence, resource, data }) => {
      const change = takeEffect(world, 'the projection', data.name, sequence);
      const told = draft(servingEvents.modelLoaded, {
        id: `${id}.${life.name}.${++attempts}`,
        project: 'default',
        resource,
        data: { deployment: resource, modelVersion: data.name },
        timeMs: clock.now(),
      });
      const cause = world.control === 'the cause of a change' ? {} : { cause: id };
      await store.collection(effects).upsert(resource, (doc) => ({ doc: change(doc), emit: [told] }), cause);
    }),
  ];
  void subscribe(bus, {
    durable: 'projection',
    on,
    log,
    clock,
    random: world.chance.random,
    ordered: world.ordered,
  });
  return { link };
}

function takeEffect(world: World, where: string, operation: string, sequence: number) {
  return (doc: Effects = { operations: [], sequences: [] }): Effects => {
    world.checks.onEffect(where, operation, doc.operations);
    return { operations: [...doc.operations, operation], sequences: [...doc.sequences, sequence] };
  };
}

function parts(world: World, life: Life, raw: DocumentStore) {
  const { weather, chance } = world;
  const link = createLink(world, life);
  const share = (rate: number) => (world.healed ? 0 : rate);
  const bus: Streams = unreliable(weaken(link, world.control), {
    random: chance.random,
    clock: life.clock,
    get duplicate() {
      return share(weather.duplicate);
    },
    get drop() {
      return share(weather.drop);
    },
    get delayMs() {
      return share(weather.delayMs);
    },
    window: weather.window,
  });
  const say = (fields: object, message: string) =>
    world.tell(life.name, `says: ${message}${'err' in fields ? ` (${(fields.err as Error).message})` : ''}`);
  const log: Log = { debug() {}, info: say, warn: say, error: say };
  return { store: storeOf(world, life, raw), bus, link, clock: life.clock, log };
}
