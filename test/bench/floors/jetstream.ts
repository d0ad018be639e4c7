import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

/** Bare JetStream: a stream in files and an ordered consumer, by the client alone. */
export interface BareStream {
  /** Publishes so many bytes, and resolves when they are acknowledged and have come back. */
  there(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export async function startJetStream(url: string): Promise<BareStream> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  const name = 'BENCH_FLOOR';
  await manager.streams.add({ name, subjects: ['bench.floor'] });
  const client = jetstream(connection);
  const consumer = await client.consumers.get(name);
  const messages = await consumer.consume();
  const waiting = new Map<string, () => void>();
  const reading = (async () => {
    for await (const message of messages) {
      const id = Buffer.from(message.data.subarray(0, 12)).toString('latin1');
      waiting.get(id)?.();
      waiting.delete(id);
    }
  })();
  let count = 0;
  return {
    async there(bytes) {
      const id = String(count++).padStart(12, '0');
      const data = Buffer.alloc(Math.max(12, bytes), 32);
      data.write(id, 'latin1');
      const came = new Promise<void>((resolve) => {
        waiting.set(id, resolve);
      });
      await client.publish('bench.floor', data, { msgID: id });
      await came;
    },
    async close() {
      await messages.close();
      await reading;
      await manager.streams.delete(name);
      await connection.close();
    },
  };
}
