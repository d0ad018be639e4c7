import { type Context, streamOf } from '@millrace/contracts';
import { type Bus, type Clock, ensureStream, type OutgoingMessage } from '@millrace/events';
import { type Unreliability, unreliable } from '@millrace/testing';
import type { Chance } from './scenario.ts';

/** Carries the events of a context from one NATS to another. */
export interface Bridge {
  /** The places of the messages, in the order in which they were carried. */
  readonly carried: readonly number[];
  stop(): Promise<void>;
}

export interface BridgeOptions {
  readonly from: Bus;
  readonly to: Bus;
  readonly context: Context;
  /** How badly messages are treated on the way. */
  readonly faults: Omit<Unreliability, 'random' | 'clock'>;
  readonly chance: Chance;
  /** What arrives of a message that came; `copy` is 1 at the first time. @default the message, under an id of its own */
  readonly deform?: (message: OutgoingMessage, copy: number) => OutgoingMessage;
}

const clock: Pick<Clock, 'sleep'> = {
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/**
 * Starts to carry what a stream holds and will hold. Each message gets an id of its own there: no stream takes the
 * copies away, so that the consumers have to.
 */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { from, to, context, faults, chance, deform = (message: OutgoingMessage) => message } = options;
  const { name, subjects } = streamOf(context);
  await Promise.all([ensureStream(from, context), ensureStream(to, context)]);
  const maxInFlight = Math.max(1, (faults.window ?? 0) * 2);
  await from.applyConsumer(name, {
    durable: 'bridge',
    subjects: [...subjects],
    maxInFlight,
    ackWaitMs: 60_000,
    from: 'all',
  });
  const bus = unreliable(from, { ...faults, random: chance.random, clock });
  const deliveries = await bus.consume(name, 'bridge', maxInFlight);
  const carried: number[] = [];
  const working = (async () => {
    for await (const delivery of deliveries) {
      const copy = carried.filter((seq) => seq === delivery.seq).length + 1;
      const { subject, headers, data, seq } = delivery;
      const id = `bridge-${seq}-${copy}`;
      await to.send(deform({ subject, headers: withoutNats(headers), data, id }, copy));
      carried.push(seq);
      await delivery.ack(5_000);
    }
  })();
  return {
    carried,
    stop: async () => {
      await deliveries.close();
      await working;
    },
  };
}

/** `Nats-` headers belong to the stream in which a message was. */
function withoutNats(headers: OutgoingMessage['headers']): ReadonlyMap<string, string> {
  const kept = [...(headers?.keys() ?? [])].filter((key) => !key.toLowerCase().startsWith('nats-'));
  return new Map(kept.map((key) => [key, headers?.get(key) ?? '']));
}
