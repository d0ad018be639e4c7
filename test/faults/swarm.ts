/**
 * A process full of clients, each with a connection of its own, which log their steps, one after the other. Argument: JSON
 * of {@link ClientsOrder}. Says `met` once each client was answered or turned away; told `end`, it says {@link SwarmTold} and
 * ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { LogBatchRequestSchema } from '@millrace/contracts/tracking';
import { type ClientsOrder, type ClientsTold, stepsEach } from './clients.ts';
import { begin, dial, frame } from './wire.ts';

export interface SwarmTold extends ClientsTold {
  /** How many calls were answered so; `none` where the connection was closed instead. */
  readonly statuses: Readonly<Record<string, number>>;
}

/** The longest time until a swarm says `met`, in milliseconds: a connection may have to wait for long. */
const mostMeetingMs = 10_000;
const logBatch = '/millrace.tracking.v1.TrackingService/LogBatch';

if (import.meta.main) {
  const { met, end } = startSwarm(JSON.parse(process.argv[2] ?? '') as ClientsOrder);
  process.on('disconnect', () => process.exit(1));
  process.on('message', async () => process.send?.(await end(), () => process.exit(0)));
  await Promise.race([met, sleep(mostMeetingMs)]);
  process.send?.('met');
}

function startSwarm({ address, run, name, clients }: ClientsOrder) {
  const acknowledged: string[] = [];
  const maybe: string[] = [];
  const statuses: Record<string, number> = {};
  const met = Array.from({ length: clients }, () => Promise.withResolvers<void>());
  let ending = false;

  async function client(number: number): Promise<void> {
    let session = dial(address);
    for (let step = number * stepsEach; !ending; step++) {
      const metrics = [{ key: name, value: step, step: BigInt(step) }];
      const request = create(LogBatchRequestSchema, { name: run, metrics });
      // A connection that was closed just after an answer takes no other call, and says so by throwing.
      if (session.destroyed || session.closed) session = dial(address);
      const call = begin(session, logBatch, { 'grpc-timeout': '60S' });
      call.stream.resume().end(frame(toBinary(LogBatchRequestSchema, request)));
      const status = await call.status;
      statuses[status ?? 'none'] = (statuses[status ?? 'none'] ?? 0) + 1;
      (status === 0 ? acknowledged : maybe).push(`${name}/${step}`);
      met[number]?.resolve();
      // Who was turned away backs off as clients do; the others leave it room to come in.
      await sleep(200 + Math.random() * 800);
    }
    session.destroy();
  }

  const working = Array.from({ length: clients }, (_, c) => client(c));
  return {
    met: Promise.all(met.map(({ promise }) => promise)),
    end: async (): Promise<SwarmTold> => {
      ending = true;
      await Promise.all(working);
      return { acknowledged, maybe, statuses };
    },
  };
}
