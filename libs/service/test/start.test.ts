import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { loadSettings } from '@millrace/config';
import { EventLogService } from '@millrace/contracts/common';
import { LineageService } from '@millrace/contracts/registry';
import type { DocumentStore } from '@millrace/documents';
import { createClient, grpcTransport } from '@millrace/rpc';
import { commonSettings, startService } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { freePort, startNats, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { count, testSpec } from './spec.ts';

const token = 'a-token-of-some-length';
const lineageName = (ms: number) => `projects/default/models/m/versions/${ms}`;
let nats: TestNats;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats?.stop());

function configOf(folder: string, env: Record<string, string> = {}) {
  return loadSettings(commonSettings, { NATS_URL: nats.url, DATA_DIR: folder, ...env });
}

test('a service leaves, drains, stops handling and closes, in this order', async () => {
  await using folder = tempDir('millrace-service-');
  const order: string[] = [];
  const spec = testSpec(() => ({
    subscriptions: async () => [
      { durable: 'd', ready: Promise.resolve(), stop: async () => void order.push('subscription') },
    ],
    jobs: [{ name: 'job', everyMs: 5, run: async () => void (order.includes('job') || order.push('job')) }],
    started: async (address) => void order.push(address),
    draining: async () => void order.push('draining'),
    close: async () => void order.push('close'),
  }));
  const service = await startService(spec, { config: configOf(folder.path), log: silentLogger });
  const transport = grpcTransport({ address: service.address });
  const client = createClient(LineageService, transport, { deadlineMs: 5000 });
  const slow = client.getLineage({ resource: lineageName(400) }).then(() => order.push('answer'));
  await until(() => order.includes('job'));
  await new Promise((done) => setTimeout(done, 100));
  await Promise.all([service.stop(), service.stop()]);
  await slow;
  expect(order).toEqual([service.address, 'job', 'draining', 'answer', 'subscription', 'close']);
  transport.close();
});

test('when a step of the start fails, what was started before is stopped', async () => {
  await using folder = tempDir('millrace-service-');
  let stores = 0;
  let closed = 0;
  const port = await freePort();
  const spec = testSpec((store) => {
    stores++;
    const close = store.close.bind(store);
    const counted = async () => {
      closed++;
      await close();
    };
    Object.assign(store, { close: counted });
    return {};
  });
  const options = { config: configOf(folder.path, { PORT: String(port) }), log: silentLogger };
  const first = await startService(spec, options);
  await using other = tempDir('millrace-service-');
  const second = startService(spec, { ...options, config: configOf(other.path, { PORT: String(port) }) });
  await expect(second).rejects.toMatchObject({ kind: 'unavailable' });
  expect([stores, closed]).toEqual([2, 1]);
  await first.stop();
  // Its port and its folder are free again.
  const third = await startService(spec, options);
  await third.stop();
});

test('a step of the stop that fails does not keep the others from being done', async () => {
  await using folder = tempDir('millrace-service-');
  let closed = false;
  const spec = testSpec(() => ({
    draining: async () => {
      throw new Error('cannot leave');
    },
    close: async () => {
      closed = true;
    },
  }));
  const service = await startService(spec, { config: configOf(folder.path), log: silentLogger });
  await expect(service.stop()).rejects.toThrow('cannot leave');
  expect(closed).toBe(true);
});

test('an address others can reach needs a token, and every call must bring it', async () => {
  await using folder = tempDir('millrace-service-');
  const open = configOf(folder.path, { HOST: '0.0.0.0' });
  await expect(startService(testSpec(), { config: open, log: silentLogger })).rejects.toMatchObject({
    code: 'AUTHENTICATION_REQUIRED',
  });
  const config = configOf(folder.path, { HOST: '0.0.0.0', AUTH_TOKEN: token });
  const service = await startService(testSpec(), { config, log: silentLogger });
  const transport = grpcTransport({ address: service.address.replace('0.0.0.0', '127.0.0.1') });
  const calls = (metadata: Record<string, string>) => {
    const options = { deadlineMs: 5000, metadata };
    const log = createClient(EventLogService, transport, options);
    return [
      createClient(LineageService, transport, options).getLineage({ resource: lineageName(0) }),
      log.listEvents({}),
      log.watchEvents({})[Symbol.asyncIterator]().next(),
    ];
  };
  for (const wrong of [{}, { authorization: token }, { authorization: `Bearer ${token}x` }])
    for (const call of calls(wrong)) await expect(call).rejects.toMatchObject({ kind: 'unauthenticated' });
  const [lineage, events, watch] = calls({ authorization: `Bearer ${token}` });
  await lineage;
  await events;
  // Nothing happens that it could tell of: it ends with the service.
  watch?.catch(() => {});
  transport.close();
  await service.stop();
});

test('the event log is listed, filtered and published again', async () => {
  await using folder = tempDir('millrace-service-');
  let store: DocumentStore | undefined;
  const spec = testSpec((opened) => {
    store = opened;
    return {};
  });
  const service = await startService(spec, { config: configOf(folder.path), log: silentLogger });
  for (const project of ['a', 'b', 'a']) await count(store!, project);
  const transport = grpcTransport({ address: service.address });
  const log = createClient(EventLogService, transport, { deadlineMs: 10_000 });
  const all = await log.listEvents({});
  expect(all.events.map((event) => event.project)).toEqual(['a', 'b', 'a']);
  const page = await log.listEvents({ project: 'a', pageSize: 1 });
  expect(page.events).toHaveLength(1);
  const rest = await log.listEvents({ project: 'a', afterSequence: page.lastSequence });
  expect(rest.events.map((event) => event.sequence)).toEqual([all.events[2]?.sequence]);
  const replayed = await until(async () => {
    const { published, duplicates } = await log.replayEvents({ fromSequence: 1n });
    return duplicates === 3n ? { published, duplicates } : undefined;
  });
  expect(replayed).toEqual({ published: 0n, duplicates: 3n });
  transport.close();
  await service.stop();
});

test('damage of its documents is told with the name of the service, without the path of the file', async () => {
  await using folder = tempDir('millrace-service-');
  const start = () => startService(testSpec(), { config: configOf(folder.path), log: silentLogger });
  await start().then((service) => service.stop());
  const file = join(folder.path, 'registry', 'documents.db');
  const db = new DatabaseSync(file);
  const { rootpage } = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").get() ?? {};
  db.close();
  // A page of what is none, where the record of events begins.
  const at = (Number(rootpage) - 1) * 4096;
  await writeFile(file, (await readFile(file)).fill(0xff, at, at + 4096));
  const service = await start();
  const transport = grpcTransport({ address: service.address });
  const log = createClient(EventLogService, transport, { deadlineMs: 10_000 });
  const error = await log.listEvents({}).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    kind: 'data_loss',
    message: expect.stringMatching(/^the document store of registry is damaged/),
  });
  expect((error as Error).message).not.toContain(folder.path);
  transport.close();
  await service.stop();
});
