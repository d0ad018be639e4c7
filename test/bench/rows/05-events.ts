import { randomUUID } from 'node:crypto';
import { trackingEvents } from '@millrace/contracts';
import { TrackingService } from '@millrace/contracts/tracking';
import { connectBus, tail } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, until } from '@millrace/testing';
import { startJetStream } from '../floors/jetstream.ts';
import { closedLoop } from '../load/closed.ts';
import { openLoop } from '../load/open.ts';
import { atMost, atMostTimesFloor, type Row } from '../row.ts';

const seconds = 4;

/** Tracking, and a subscriber that says when the event of a request has come. */
async function startPath() {
  const nats = await startNats();
  const service = await startService('tracking', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
  const transport = grpcTransport({ address: service.address });
  const tracking = createClient(TrackingService, transport, { deadlineMs: 30_000 });
  const { run } = await tracking.createRun({ parent: 'projects/default', run: {} });
  const bus = await connectBus({ url: nats.url, name: 'bench' });
  const waiting = new Map<string, () => void>();
  const stop = new AbortController();
  let came = 0;
  const following = (async () => {
    for await (const event of tail(bus, {
      types: [trackingEvents.metricsLogged.type],
      signal: stop.signal,
    })) {
      came += 1;
      const { batch } = event.data as unknown as { batch: string };
      waiting.get(batch)?.();
      waiting.delete(batch);
    }
  })();
  const log = (requestId: string) =>
    tracking.logBatch({ name: run!.name, requestId, metrics: [{ key: 'm', value: 1, step: 1n }] });
  return {
    nats,
    log,
    came: () => came,
    /** A change, from the call on until its event is here. */
    async there(): Promise<void> {
      const requestId = randomUUID();
      const arrived = new Promise<void>((resolve) => {
        waiting.set(`default/${run!.name.split('/').at(-1)}/r:${requestId}`, resolve);
      });
      // The answer comes later: only when the run shows the point too.
      await Promise.race([arrived, log(requestId).then(() => arrived)]);
    },
    async close() {
      stop.abort();
      await following;
      await bus.close();
      transport.close();
      await service.stop();
      await nats.stop();
    },
  };
}

const latency: Row = {
  name: 'events-latency',
  title: 'call → commit → event at a subscriber, 100 changes/s',
  floor: 'bare JetStream publish → consume of as many bytes, same server settings',
  aims: [atMost('p99 ms', 50), atMostTimesFloor('p50 ms', 3)],
  explanation:
    'with timestamps at each race point, of 3.1 ms the call takes 1.3 until its commit begins, the sync of the commit and the ' +
    'reading of the event 0.6, and publishing until the event is here 1.0, which is all that the floor (1.1) does.',
  async open() {
    const path = await startPath();
    const floor = await startJetStream(path.nats.url);
    await path.there();
    const figures = ({ p50, p99 }: { p50: number; p99: number }) => ({ 'p50 ms': p50, 'p99 ms': p99 });
    return {
      ours: async () => figures(await openLoop({ perSecond: 100, seconds, call: path.there })),
      floor: async () => figures(await openLoop({ perSecond: 100, seconds, call: () => floor.there(400) })),
      async close() {
        await floor.close();
        await path.close();
      },
    };
  },
};

const rate: Row = {
  name: 'events-rate',
  title: 'changes whose events all reach a subscriber, 64 clients',
  floor: 'bare JetStream publish → consume of as many bytes, 64 in flight, same server settings',
  aims: [],
  async open() {
    const path = await startPath();
    const floor = await startJetStream(path.nats.url);
    await path.there();
    return {
      async ours() {
        const [before, begun] = [path.came(), performance.now()];
        const { calls } = await closedLoop({ inFlight: 64, seconds, call: () => path.log(randomUUID()) });
        await until(() => path.came() - before >= calls, { timeoutMs: 60_000 });
        return { 'events/s': calls / ((performance.now() - begun) / 1000) };
      },
      async floor() {
        const { perSecond } = await closedLoop({ inFlight: 64, seconds, call: () => floor.there(400) });
        return { 'events/s': perSecond };
      },
      async close() {
        await floor.close();
        await path.close();
      },
    };
  },
};

export const rows: readonly Row[] = [latency, rate];
