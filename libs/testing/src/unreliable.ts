import { unavailable } from '@millrace/errors';
import type { Clock, Deliveries, Delivery, Streams } from '@millrace/events';

/** How badly an unreliable bus treats messages. Shares are of 0 to 1. */
export interface Unreliability {
  /** In [0, 1); from a seed, so that a run can be had again. */
  readonly random: () => number;
  readonly clock: Pick<Clock, 'sleep'>;
  /** Share of messages that are sent, and of those that are delivered, twice. @default 0 */
  readonly duplicate?: number;
  /** Share of sends that fail, half of them after the stream took the message, and of deliveries that never come. @default 0 */
  readonly drop?: number;
  /** The longest a delivery is held back. @default 0 */
  readonly delayMs?: number;
  /** How many younger deliveries may overtake one, at most. @default 0: none */
  readonly window?: number;
}

/**
 * Streams that send and deliver twice, out of order, late or not at all, over any others. What the port promises still
 * holds: a send that fails may have been done, and a delivery that is not answered comes again.
 */
export function unreliable(streams: Streams, faults: Unreliability): Streams {
  const happens = (share = 0) => faults.random() < share;
  const through: Omit<Streams, 'connected' | 'connections'> = {
    name: streams.name,
    onConnect: (listener) => streams.onConnect(listener),
    async send(message) {
      if (happens(faults.drop)) {
        if (happens(0.5)) await streams.send(message);
        throw unavailable('the stream (the message or its acknowledgement was dropped)');
      }
      const sent = await streams.send(message);
      return happens(faults.duplicate) ? streams.send(message) : sent;
    },
    applyStream: (settings) => streams.applyStream(settings),
    readState: (stream) => streams.readState(stream),
    readMessage: (stream, seq) => streams.readMessage(stream, seq),
    removeMessage: (stream, seq) => streams.removeMessage(stream, seq),
    read: (stream, options) => streams.read(stream, options),
    applyConsumer: (stream, settings) => streams.applyConsumer(stream, settings),
    consume: async (...wanted) => disturb(await streams.consume(...wanted), faults),
  };
  // These change, so they are asked for each time.
  return Object.defineProperties(through, {
    connected: { get: () => streams.connected },
    connections: { get: () => streams.connections },
  }) as Streams;
}

interface Held {
  readonly delivery: Delivery;
  ready: boolean;
  /** How many younger ones went first. */
  overtaken: number;
}

function disturb(deliveries: Deliveries, faults: Unreliability): Deliveries {
  const { random, clock, window = 0 } = faults;
  return {
    close: () => deliveries.close(),
    async *[Symbol.asyncIterator]() {
      const held: Held[] = [];
      let ended: { readonly error?: unknown } | undefined;
      let changed = Promise.withResolvers<void>();
      const tell = () => {
        changed.resolve();
        changed = Promise.withResolvers<void>();
      };
      const hold = (delivery: Delivery) => {
        // Asked for each time: how bad it is may change.
        const { delayMs = 0 } = faults;
        const one: Held = { delivery, ready: delayMs === 0, overtaken: 0 };
        held.push(one);
        if (one.ready) return tell();
        void clock.sleep(random() * delayMs).then(() => {
          one.ready = true;
          tell();
        });
      };
      const take = async () => {
        try {
          for await (const delivery of deliveries) {
            if (random() < (faults.drop ?? 0)) continue;
            for (const copy of random() < (faults.duplicate ?? 0) ? twice(delivery) : [delivery]) hold(copy);
          }
          ended = {};
        } catch (error) {
          ended = { error };
        }
        tell();
      };
      void take();
      for (;;) {
        // Nothing overtakes one that was overtaken often enough.
        const limit = held.findIndex(({ overtaken }) => overtaken >= window);
        const open = limit === -1 ? held : held.slice(0, limit + 1);
        const ready = open.filter((one) => one.ready);
        const next = ready[Math.floor(random() * ready.length)];
        if (next) {
          const place = held.indexOf(next);
          for (const older of held.slice(0, place)) older.overtaken++;
          held.splice(place, 1);
          yield next.delivery;
        } else if (ended && held.length === 0) {
          if ('error' in ended) throw ended.error;
          return;
        } else await changed.promise;
      }
    },
  };
}

/** A delivery and its copy: whichever is answered first answers both, as the server waits for one answer only. */
function twice(delivery: Delivery): Delivery[] {
  let answered = false;
  const once = <A extends unknown[]>(answer: (...values: A) => void) => {
    return (...values: A) => {
      if (!answered) answer(...values);
      answered = true;
    };
  };
  const copy: Delivery = {
    ...delivery,
    ack: async (timeoutMs) => {
      if (answered) return;
      await delivery.ack(timeoutMs);
      answered = true;
    },
    nak: once((delayMs) => delivery.nak(delayMs)),
    term: once((reason) => delivery.term(reason)),
    working: () => {
      if (!answered) delivery.working();
    },
  };
  return [copy, copy];
}
