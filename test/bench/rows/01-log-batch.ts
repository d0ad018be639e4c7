import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { TrackingService } from '@millrace/contracts/tracking';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, tempDir } from '@millrace/testing';
import { ask, startChild } from '../floors/child.ts';
import { startEcho } from '../floors/echo.ts';
import { closedLoop } from '../load/closed.ts';
import { atLeast, atLeastOfFloor, type Row } from '../row.ts';

const seconds = 3;
/** What a point is on the disk: value, step and time of 8 bytes each, and 2 for its key. */
const pointBytes = 26;

/** A tracking service with one run for each client; answers `log(n, points)`. */
async function startTracking(clients: number) {
  const nats = await startNats();
  const service = await startService('tracking', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
  const transports = Array.from({ length: Math.min(clients, 8) }, () =>
    grpcTransport({ address: service.address }),
  );
  const trackers = transports.map((transport) =>
    createClient(TrackingService, transport, { deadlineMs: 30_000 }),
  );
  const runs: string[] = [];
  for (let n = 0; n < clients; n++) {
    const { run } = await trackers[0]!.createRun({
      parent: 'projects/default',
      run: {},
      requestId: randomUUID(),
    });
    runs.push(run?.name ?? '');
  }
  let step = 0n;
  return {
    log: (n: number, points: number) => {
      step += 1n;
      const metrics = Array.from({ length: points }, (_, i) => ({
        key: `metric-${i % 10}`,
        value: i / 7,
        step,
        timestampMs: 1_700_000_000_000n + BigInt(i),
      }));
      const name = runs[n % clients]!;
      return trackers[n % trackers.length]!.logBatch({ name, metrics, requestId: randomUUID() });
    },
    close: async () => {
      for (const transport of transports) transport.close();
      await service.stop();
      await nats.stop();
    },
  };
}

const inBulk = (clients: number): Row => ({
  name: `log-batch-1000x${clients}`,
  title: `LogBatch, 1,000 points a call, durable, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
  floor: 'bare SQLite, one transaction of the bytes of the points at a time, synchronous=FULL',
  aims: [atLeast('points/s', 100_000), atLeastOfFloor('points/s', 0.5)],
  explanation:
    'the floor receives nothing and commits once a call. In a profile of the service with 32 clients, on a machine with other work, 17 % of its busy time was reading the messages, 17 % collecting garbage, 5 % validating, 12 % columns, digest and event, 17 % the two transactions of a batch and of its latest points, 4 % beginning their syncs, and the rest transport.',
  async open() {
    const tracking = await startTracking(clients);
    const folder = tempDir('millrace-bench-');
    const floor = await startChild(new URL('../floors/sqlite-commits.ts', import.meta.url), [
      join(folder.path, 'floor.db'),
    ]);
    return {
      async ours() {
        const { perSecond } = await closedLoop({
          inFlight: clients,
          seconds,
          call: (n) => tracking.log(n, 1000),
        });
        return { 'points/s': perSecond * 1000 };
      },
      async floor() {
        const commits = await ask<number>(floor, { bytes: 1000 * pointBytes, seconds });
        return { 'points/s': commits * 1000 };
      },
      async close() {
        await floor.stop();
        await tracking.close();
        await folder.remove();
      },
    };
  },
});

const single: Row = {
  name: 'log-batch-1x64',
  title: 'LogBatch, 1 point a call, durable, 64 clients',
  floor: 'bare grpc-js echo of the same bytes, 64 in flight',
  aims: [atLeastOfFloor('calls/s', 0.5)],
  explanation:
    'the floor stores nothing. In a profile of the service 39 % of its busy time went to documents (29 % inside SQLite: the batch, its event and the latest point of its run, in commits for many calls at once), 10 % to publishing the event, 13 % to gRPC, HTTP/2 and protobuf, and 7 % to garbage; for 28 % of the time it waited for fdatasync.',
  async open() {
    const tracking = await startTracking(64);
    const echo = await startEcho();
    return {
      async ours() {
        const { perSecond } = await closedLoop({ inFlight: 64, seconds, call: (n) => tracking.log(n, 1) });
        return { 'calls/s': perSecond };
      },
      async floor() {
        const { perSecond } = await closedLoop({ inFlight: 64, seconds, call: () => echo.unary(160, 4) });
        return { 'calls/s': perSecond };
      },
      async close() {
        await echo.close();
        await tracking.close();
      },
    };
  },
};

export const rows: readonly Row[] = [inBulk(1), inBulk(32), single];
