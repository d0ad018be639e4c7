/**
 * A process full of clients. Argument: JSON of {@link SwarmOrder}; writes JSON of {@link SwarmTold} when all is done.
 * Each client has a connection of its own and logs its steps, one after the other, until time is up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { LogBatchRequestSchema } from '@millrace/contracts/tracking';
import { begin, dial, frame } from './wire.ts';

export interface SwarmOrder {
  readonly address: string;
  /** The run that is logged to. */
  readonly run: string;
  /** The key of this process's points. */
  readonly name: string;
  readonly clients: number;
  readonly forMs: number;
}

export interface SwarmTold {
  /** Steps whose call answered OK, as `key/step`. */
  readonly acknowledged: readonly string[];
  /** Steps that were sent and got no answer, or another. */
  readonly maybe: readonly string[];
  /** How many calls were answered so; `none` where the connection was closed instead. */
  readonly statuses: Readonly<Record<string, number>>;
}

/** More steps than a client logs. */
const most = 100_000;
const logBatch = '/millrace.tracking.v1.TrackingService/LogBatch';

if (import.meta.main) {
  const order = JSON.parse(process.argv[2] ?? '') as SwarmOrder;
  // What a pipe has not taken yet is gone when the process ends.
  process.stdout.write(JSON.stringify(await swarm(order)), () => process.exit());
}

async function swarm({ address, run, name, clients, forMs }: SwarmOrder): Promise<SwarmTold> {
  const acknowledged: string[] = [];
  const maybe: string[] = [];
  const statuses: Record<string, number> = {};
  const end = performance.now() + forMs;

  async function client(number: number): Promise<void> {
    let session = dial(address);
    for (let step = number * most; performance.now() < end; step++) {
      const metrics = [{ key: name, value: step, step: BigInt(step) }];
      const request = create(LogBatchRequestSchema, { name: run, metrics });
      // A connection that was closed just after an answer takes no other call, and says so by throwing.
      if (session.destroyed || session.closed) session = dial(address);
      const call = begin(session, logBatch, { 'grpc-timeout': '20S' });
      call.stream.resume().end(frame(toBinary(LogBatchRequestSchema, request)));
      const status = await call.status;
      statuses[status ?? 'none'] = (statuses[status ?? 'none'] ?? 0) + 1;
      (status === 0 ? acknowledged : maybe).push(`${name}/${step}`);
      if (status === 0) continue;
      // Back off as clients do.
      await sleep(200 + Math.random() * 800);
    }
    session.destroy();
  }

  await Promise.all(Array.from({ length: clients }, (_, c) => client(c)));
  return { acknowledged, maybe, statuses };
}
