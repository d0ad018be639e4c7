import { CodedError, unavailable } from '@millrace/errors';
import type { Delivery, StoredMessage, Streams } from '@millrace/events';
import type { Life } from './process.ts';
import type { Kept, Puller } from './server.ts';
import type { World } from './world.ts';

/** A request the server takes and never answers. */
const silence = Symbol('silence');

/** How long a call waits for a connection, and how long for its answer. */
const waitMs = 5_000;

/** How often a consumer looks whether the server still knows of it. */
const heartbeatMs = 10_000;

/** The connection of one life of a process to the simulated server: it breaks, and comes back by itself. */
export interface SimLink extends Streams {
  /** Breaks it; it comes back after `ms` at the earliest. */
  cut(ms: number): void;
}

export function createLink(world: World, life: Life): SimLink {
  const { timeline, chance, server } = world;
  const listeners = new Set<() => void>();
  const pullers = new Map<Puller, () => void>();
  let connected = true;
  /** Which of its connections this is. */
  let epoch = 0;
  let arrivals = { there: 0, back: 0 };

  function cut(ms: number): void {
    if (!connected) return;
    connected = false;
    for (const puller of pullers.keys()) server.leave(puller);
    life.later(ms + chance.between(20, 750), connect);
  }

  function connect(): void {
    if (!server.up) return void life.later(chance.between(250, 750), connect);
    connected = true;
    epoch++;
    arrivals = { there: 0, back: 0 };
    world.tell(life.name, 'is connected again');
    for (const rejoin of pullers.values()) rejoin();
    for (const listener of [...listeners]) listener();
  }

  /** In one direction of one connection nothing overtakes. */
  function travel(direction: 'there' | 'back', act: () => void): void {
    const earliest = direction === 'there' ? Math.max(server.frozenUntil, arrivals.there) : arrivals.back;
    const at = Math.max(earliest, timeline.now + world.latency());
    arrivals[direction] = at;
    timeline.at(at - timeline.now, act);
  }

  /** Does something at the server, if it gets there: it may, even when this connection is gone by then. */
  function tellServer(act: () => void): void {
    const { life: serverLife } = server;
    travel('there', () => {
      if (server.up && server.life === serverLife && !world.isLost()) act();
    });
  }

  function whenConnected(act: (connected: boolean) => void): void {
    if (connected) {
      act(true);
      return;
    }
    const done = () => {
      cancel();
      listeners.delete(done);
      act(connected);
    };
    const cancel = life.later(waitMs, done);
    listeners.add(done);
  }

  /** One request and its answer; a lost connection ends the waiting. */
  function request<T>(what: string, act: () => T | typeof silence, timeoutMs = waitMs): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!life.alive) return;
      const fate = world.fate();
      if (fate === 'crash before') return life.kill(what);
      let over = false;
      const settle = (end: () => void) => {
        if (over) return;
        over = true;
        cancel();
        listeners.delete(lost);
        end();
      };
      const fail = (why: string) => settle(() => reject(unavailable(`${what}: ${why}`)));
      const lost = () => fail('the connection was lost');
      let cancel = () => {};
      whenConnected((isConnected) => {
        if (!isConnected) return fail('no connection');
        const mine = epoch;
        cancel = life.later(timeoutMs, () => fail('no answer in time'));
        listeners.add(lost);
        tellServer(() => {
          const result = act();
          if (result === silence || world.isLost()) return;
          travel('back', () => {
            if (epoch !== mine || !connected) return;
            life.later(0, () => {
              if (fate === 'crash after') life.kill(what);
              else settle(() => resolve(result));
            });
          });
        });
      });
    });
  }

  const link: SimLink = {
    cut,
    name: life.name,
    get connected() {
      return connected;
    },
    get connections() {
      return epoch;
    },
    onConnect(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async send(message) {
      const what = `send ${message.id}`;
      const sent = await request(what, () => server.store(message) ?? silence, message.timeoutMs);
      if (sent === 'out of order')
        throw new CodedError('failed_precondition', 'OUT_OF_ORDER', `${what}: another is the newest`);
      return sent;
    },
    applyStream: (settings) => request('applyStream', () => server.applyStream(settings)),
    readState: (stream) => request('readState', () => server.state(stream)),
    readMessage: (stream, seq) => request('readMessage', () => server.message(stream, seq)),
    removeMessage: (stream, seq) => request('removeMessage', () => void server.remove(stream, seq)),
    applyConsumer: (stream, settings) =>
      request('applyConsumer', () => server.applyConsumer(stream, settings)),
    async *read(stream, options = {}) {
      const held = await request('read', () => [...(server.streams.get(stream)?.messages.values() ?? [])]);
      const { from = 1, subjects = ['>'] } = options;
      for (const message of held)
        if (message.seq >= from && subjects.some((one) => server.matches(one, message.subject)))
          yield message;
    },
    async consume(stream, durable, maxInFlight) {
      const queue: Delivery[] = [];
      let travelling = 0;
      let closed = false;
      let failure: Error | undefined;
      let wake = () => {};
      const puller: Puller = {
        room: () => (connected && life.alive && !closed ? maxInFlight - queue.length - travelling : 0),
        give(message, deliveryCount) {
          const mine = epoch;
          travelling++;
          travel('back', () => {
            travelling--;
            if (epoch !== mine || !connected || world.isLost()) return;
            life.later(0, () => {
              queue.push(toDelivery(stream, durable, message, deliveryCount));
              wake();
            });
          });
        },
      };
      const missing = () => unavailable(`consumer ${durable} of ${stream}`);
      const join = () => {
        travel('there', () => {
          if (!server.up || closed || !life.alive || server.join(stream, durable, puller)) return;
          failure = missing();
          wake();
        });
      };
      try {
        if (!(await request('consume', () => server.join(stream, durable, puller)))) throw missing();
      } catch (error) {
        closed = true;
        throw error;
      }
      pullers.set(puller, join);
      const heartbeat = () => {
        if (closed) return;
        if (connected) join();
        life.later(heartbeatMs, heartbeat);
      };
      life.later(heartbeatMs, heartbeat);
      life.onDeath(() => server.leave(puller));
      const close = async () => {
        closed = true;
        pullers.delete(puller);
        server.leave(puller);
        wake();
      };
      return {
        close,
        async *[Symbol.asyncIterator]() {
          while (!closed) {
            const next = queue.shift();
            if (next) yield next;
            else if (failure) throw failure;
            else await new Promise<void>((resolve) => (wake = resolve));
          }
        },
      };
    },
  };

  function toDelivery(stream: string, durable: string, message: Kept, deliveryCount: number): Delivery {
    const tell = (kind: 'ack' | 'nak' | 'working', delayMs?: number) => {
      if (life.alive && connected)
        tellServer(() => void server.answer(stream, durable, message.seq, kind, delayMs));
    };
    const { subject, headers, data, seq, time } = message satisfies StoredMessage;
    return {
      ...{ subject, headers, data, seq, time, stream, deliveryCount },
      connection: epoch,
      ack: async (timeoutMs) => {
        if (!connected) throw unavailable('the server');
        await request(
          `ack ${seq}`,
          () => (server.answer(stream, durable, seq, 'ack') ? undefined : silence),
          timeoutMs,
        );
      },
      nak: (delayMs) => tell('nak', delayMs),
      term: () => tell('ack'),
      working: () => tell('working'),
    };
  }
  return link;
}
