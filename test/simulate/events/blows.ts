import type { Blow } from './weather.ts';
import type { World } from './world.ts';

/** The big faults, as they happen. */
const strikes: { readonly [B in Blow]: (world: World) => void } = {
  kill: (world) => victim(world).kill('a kill'),
  freeze: (world) => victim(world).freeze(world.chance.between(200, 12_000)),
  'long freeze': (world) => victim(world).freeze(world.chance.between(550_000, 700_000)),
  cut: (world) => {
    const { name } = victim(world);
    world.tell(name, 'loses its connection');
    world.actors.get(name)?.link.cut(world.chance.between(0, 6_000));
  },
  'server restart': restartServer,
  'server freeze': ({ server, timeline, chance, tell }) => {
    server.frozenUntil = timeline.now + chance.between(500, 12_000);
    tell('server', `is frozen until ${server.frozenUntil}`);
  },
  'power cut': (world) => {
    const { chance, timeline, server, tell } = world;
    if (!server.up) return;
    const since = chance.random() < 0.2 ? -1 : timeline.now - chance.between(0, 8_000);
    restartServer(world);
    tell('server', `lost what came after ${since}`);
    server.losePower(since);
  },
  'stream deleted': ({ server, chance, checks, tell }) => {
    const stream = chance.pick([...server.streams.keys(), 'none']);
    tell('server', `${stream} is deleted`);
    checks.excuseOrder(stream);
    checks.excuseOrder('projection');
    server.deleteStream(stream);
  },
  'messages removed': ({ server, chance, checks, tell }) => {
    const stream = chance.pick([...server.streams.keys(), 'none']);
    const { last = 0 } = server.streams.get(stream) ?? {};
    checks.excuseOrder(stream);
    checks.excuseOrder('projection');
    for (let count = chance.between(1, 5); count > 0 && last > 0; count--) {
      const seq = chance.between(1, last);
      if (server.remove(stream, seq)) tell('server', `${stream} ${seq} is removed`);
    }
  },
  'lease stolen': ({ leases, chance, timeline, tell }) => {
    if (leases.size === 0) return;
    const [name, take] = chance.pick([...leases]);
    tell('store', `${name} is taken away`);
    void timeline.busy(take());
  },
};

/** Does one of the big faults, now. */
export function strike(world: World, blow: Blow): void {
  strikes[blow](world);
}

const victim = ({ chance, processes }: World) => chance.pick(processes);

function restartServer(world: World): void {
  const { server, timeline, actors, chance } = world;
  if (!server.up) return;
  world.tell('server', 'dies');
  server.up = false;
  for (const { link } of actors.values()) link.cut(0);
  timeline.at(chance.between(100, 6_000), () => startServer(world));
}

function startServer({ server, tell }: World): void {
  if (server.up) return;
  server.restart();
  tell('server', `starts, life ${server.life}`);
}

/** Ends all faults: what is dead starts, what is frozen goes on. */
export function heal(world: World): void {
  world.tell('world', 'is healed');
  world.healed = true;
  startServer(world);
  world.server.frozenUntil = 0;
  for (const process of world.processes) process.heal();
}
