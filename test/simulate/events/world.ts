import { type Context, streamOf } from '@millrace/contracts';
import { type DocumentStore, openDocuments } from '@millrace/documents';
import { deadLetterStream } from '@millrace/events';
import { type Chance, createChance } from '@millrace/testing';
import { type Actor, collections, startListener, startOwner } from './actors.ts';
import { type Checks, createChecks } from './checks.ts';
import { createProcess, type Fate, type Process } from './process.ts';
import { createServer, type Server } from './server.ts';
import { createTimeline, type Timeline } from './timeline.ts';
import { createWeather, type Weather } from './weather.ts';

/** One world: two services of two replicas each, a client or three, and a server of streams. */
export interface World {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly weather: Weather;
  readonly server: Server;
  readonly checks: Checks;
  /** The records of both services; what a process wrote survives it. */
  readonly stores: { readonly registry: DocumentStore; readonly serving: DocumentStore };
  readonly processes: readonly Process[];
  /** What runs in the living processes. */
  readonly actors: ReadonlyMap<string, Omit<Actor, 'write'> & Partial<Actor>>;
  /** Whether consumers take one event at a time. */
  readonly ordered: boolean;
  readonly control: string | undefined;
  /** How to take each lease from whoever asked for it last. */
  readonly leases: Map<string, () => Promise<void>>;
  /** Nothing goes wrong any more. */
  healed: boolean;
  tell(who: string, what: string): void;
  fate(): Fate;
  latency(): number;
  isLost(): boolean;
  onCursor(name: string, position: number): void;
  close(): Promise<void>;
}

export async function createWorld(
  seed: number,
  control: string | undefined,
  trace: (line: string) => void = () => {},
): Promise<World> {
  const chance = createChance(seed);
  const timeline = createTimeline();
  const weather = createWeather(chance);
  const now = () => Date.UTC(2026, 0, 1) + timeline.now;
  const open = () => openDocuments({ url: 'sqlite::memory:', collections, now });
  const stores = { registry: await open(), serving: await open() };
  const server = createServer(timeline, chance);
  const checks = createChecks(() => timeline.now, 10 * 60_000);
  const actors = new Map<string, Omit<Actor, 'write'> & Partial<Actor>>();
  const processes: Process[] = [];
  const happens = (rate: number) => !world.healed && chance.random() < rate;
  const streams = { 'relay-registry': 'registry', 'relay-serving': 'serving' } as const;
  const world: World = {
    timeline,
    chance,
    weather,
    checks,
    stores,
    processes,
    actors,
    control,
    server,
    ordered: chance.random() < 0.5,
    leases: new Map(),
    healed: false,
    tell: (who, what) => trace(`${(timeline.now / 1000).toFixed(3).padStart(9)} ${who.padEnd(6)} ${what}`),
    fate() {
      if (happens(weather.crash)) return chance.pick(['crash before', 'crash after']);
      return happens(weather.store) ? chance.pick(['refused', 'torn']) : 'well';
    },
    latency: () =>
      world.healed ? 1 : chance.random() * (chance.random() < 0.02 ? 4_000 : weather.latencyMs),
    isLost: () => happens(weather.lost),
    onCursor(name, position) {
      const context: Context | undefined = streams[name as keyof typeof streams];
      if (context) checks.onCursor(name, position, streamOf(context).name);
    },
    async close() {
      for (const process of processes) process.life?.kill('the end');
      await Promise.all([stores.registry.close(), stores.serving.close()]);
    },
  };
  server.watch((stream, message) => {
    world.tell('server', `${stream} ${message.seq}: ${message.id}`);
    // What is given back comes late.
    if (stream === deadLetterStream.name) checks.excuseOrder('projection');
    else checks.onStored(stream, message, server.streams.get(stream)!.messages.values());
  });
  for (const name of ['A1', 'A2'])
    processes.push(createProcess(world, name, (life) => actors.set(name, startOwner(world, life))));
  for (const name of ['B1', 'B2'])
    processes.push(createProcess(world, name, (life) => actors.set(name, startListener(world, life))));
  return world;
}
