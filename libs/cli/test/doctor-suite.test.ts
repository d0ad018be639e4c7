import { EventLogService } from '@millrace/contracts/common';
import { connectBus, ensureStream } from '@millrace/events';
import { createServer, implement, silent } from '@millrace/rpc';
import { startNats } from '@millrace/testing';
import { expect, it } from 'vitest';
import { checkSuite } from '../src/doctor/suite.ts';

it('says of a stream that is full for whom it waits, and since when', async () => {
  const nats = await startNats();
  const bus = await connectBus({ url: nats.url, name: 'doctor-test' });
  const server = await createServer({
    implementations: [
      implement(EventLogService, {
        listEvents: async () => ({ newestSequence: 100n }),
        async *watchEvents() {},
        replayEvents: async () => ({}),
      }),
    ],
    host: '127.0.0.1',
    port: 0,
    log: silent,
  });
  server.setServing(true);
  try {
    await ensureStream(bus, 'tracking', { maxBytes: 2 ** 18 });
    const subject = 'millrace.default.tracking.run.finished.v1';
    const away = { durable: 'away', subjects: [subject], maxInFlight: 1, ackWaitMs: 30_000 } as const;
    await bus.applyConsumer('MILLRACE_TRACKING', { ...away, from: 'all', holds: true });
    const fill = async () => {
      for (let n = 1; ; n++) {
        const headers = new Map([['ce-sequence', `${n}`]]);
        await bus.send({ subject, headers, data: new Uint8Array(2 ** 14), id: `${n}` });
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'STREAM_FULL' });
    const globals = {
      ...{ project: 'default', json: false, timeoutMs: 5_000, timeoutGiven: false, dataDir: '/nowhere' },
      env: { MILLRACE_TRACKING_ADDRESS: server.address, MILLRACE_NATS_URL: nats.url },
    };
    const found = await checkSuite(globals);
    const tracking = found.find(({ text }) => text.startsWith('tracking at'));
    expect(tracking).toMatchObject({
      state: 'bad',
      text: expect.stringMatching(
        /stream MILLRACE_TRACKING is full \(\d+ of 100 events\) and waits for away since \d{4}-\d\d-\d\dT/,
      ),
      fix: expect.stringContaining('nats consumer rm MILLRACE_TRACKING <durable>'),
    });
  } finally {
    await server.drain(0);
    await bus.close();
    await nats.stop();
  }
});
