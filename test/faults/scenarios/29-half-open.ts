import { create, toBinary } from '@bufbuild/protobuf';
import { TrackingService, type WatchRunRequest, WatchRunRequestSchema } from '@millrace/contracts/tracking';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startFaultProxy, startService, until } from '@millrace/testing';
import type { Outcome, Scenario } from '../scenario.ts';
import { begin, dial, frame, missingCounts, openFiles } from '../wire.ts';

/** Nothing listens there: events wait in the record. */
const noNats = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };
const watchRun = '/millrace.tracking.v1.TrackingService/WatchRun';

/** Lets watching clients vanish without a word, and looks whether the server lets go of them. */
async function vanish(clients: number, keepaliveMs: number, patienceMs: number): Promise<Outcome> {
  const env = { ...noNats, KEEPALIVE_MS: String(keepaliveMs) };
  await using service = await startService('tracking', { env });
  await using proxy = await startFaultProxy(service.address);
  const transport = grpcTransport({ address: service.address });
  const tracking = createClient(TrackingService, transport, { deadlineMs: 30_000 });
  const { run } = await tracking.createRun({ parent: 'projects/default', run: {} });
  const name = run?.name ?? '';
  const breaches: string[] = [];
  // One who stays: what happens to the others must not touch this watch.
  const staying = tracking.watchRun({ name }, { deadlineMs: 120_000 })[Symbol.asyncIterator]();
  await staying.next();
  const base = await openFiles(service.pid);

  const request: WatchRunRequest = create(WatchRunRequestSchema, { name });
  const sessions = Array.from({ length: clients }, () => dial(proxy.address));
  try {
    const calls = sessions.map((session) => begin(session, watchRun));
    for (const { stream } of calls) stream.end(frame(toBinary(WatchRunRequestSchema, request)));
    await Promise.all(calls.map(({ first }) => first));
    const open = await openFiles(service.pid);
    if (open < base + clients) breaches.push(`${clients} clients watch, and ${open - base} files are open`);
    proxy.freeze();
    const freed = async () => (await openFiles(service.pid)) <= base;
    await until(freed, { timeoutMs: patienceMs }).catch(() => undefined);
    const left = (await openFiles(service.pid)) - base;
    if (left > 0) breaches.push(`${left} of ${clients} connections are still open`);
    const [news] = await Promise.all([
      staying.next(),
      tracking.logBatch({ name, tags: [{ key: 'after', value: 'the others' }] }),
    ]);
    const told = !news.done && news.value.run?.tags.some(({ key }) => key === 'after');
    if (!told) breaches.push('the watch that stayed was told nothing');
    return { checked: clients, lost: 0, doubled: 0, breaches };
  } finally {
    for (const session of sessions) session.destroy();
    await staying.return?.();
    transport.close();
  }
}

export const scenario: Scenario = {
  number: 29,
  name: '1,000 watching clients vanish without a word',
  invariant: 'the server lets go of every connection; whoever is still there is told what happens',
  missing: () => missingCounts(4_000),
  run: () => vanish(1_000, 6_000, 60_000),
  // Nobody asks them whether they are still there.
  control: () => vanish(50, 3_600_000, 4_000),
};
