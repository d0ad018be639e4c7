import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, ensureStream } from '@millrace/events';
import type { Outcome } from './scenario.ts';
import { tally } from './tally.ts';

/** A publisher without what protects ours: it asks again, but a message carries no id by which the stream could know it. */
export interface CarelessPublisher {
  /** How many messages were confirmed so far. */
  readonly confirmed: number;
  /** Ends when what is under way was confirmed, and compares. */
  stop(): Promise<Outcome>;
}

/** Publishes from 32 loops at once to the stream of serving, which nobody else uses here. */
export async function startCarelessPublisher(bus: Bus): Promise<CarelessPublisher> {
  await ensureStream(bus, 'serving');
  const confirmed = new Set<string>();
  let stopping = false;
  let next = 0;

  async function publishOne(id: string): Promise<void> {
    while (!confirmed.has(id)) {
      try {
        const client = await bus.jetstream();
        await client.publish('millrace.default.serving.careless', id, { timeout: 1_000 });
        confirmed.add(id);
      } catch {
        await sleep(50);
      }
    }
  }

  const working = Array.from({ length: 32 }, async () => {
    while (!stopping) await publishOne(`message-${next++}`);
  });
  return {
    get confirmed() {
      return confirmed.size;
    },
    stop: async () => {
      stopping = true;
      await Promise.all(working);
      const held: string[] = [];
      for await (const { data } of bus.read('MILLRACE_SERVING')) held.push(Buffer.from(data).toString());
      return tally(confirmed, held);
    },
  };
}
