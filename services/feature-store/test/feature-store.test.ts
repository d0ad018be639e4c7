import { EventLogService } from '@millrace/contracts/common';
import { FeatureStatus, JobState } from '@millrace/contracts/features';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, type TestNats } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  doubles,
  materialize,
  offline,
  online,
  parent,
  prepare,
  readings,
  startStore,
  strings,
  type TestStore,
  times,
} from './harness.ts';

const base = Date.UTC(2001, 5, 14) * 1000;
const minute = 60_000_000;
const hour = 60 * minute;

let nats: TestNats;
let store: TestStore;
beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.kill());
beforeEach(async () => {
  store = await startStore(nats.url, { ONLINE_HORIZON_HOURS: '1000' });
});
afterEach(() => store.close());

interface Reading {
  readonly machine: string;
  readonly at: number;
  readonly reading: number | null;
}

const push = (rows: readonly Reading[], requestId = '') =>
  store.client.pushRows({
    view: readings().name,
    requestId,
    rows: {
      rowCount: rows.length,
      columns: [
        strings(
          'machine',
          rows.map((r) => r.machine),
        ),
        times(
          'seen',
          rows.map((r) => r.at),
        ),
        doubles(
          'reading',
          rows.map((r) => r.reading),
        ),
      ],
    },
  });

const stamp = (us: number) => new Date(us / 1000).toISOString().replace('T', ' ').replace('Z', '');
const line = (r: Reading) => `${r.machine},${stamp(r.at)},${r.reading ?? ''}`;

describe('online and offline', () => {
  it('give the same values for rows of a source and pushed rows, late ones and ties among them', async () => {
    const reading = fc.record({
      machine: fc.constantFrom('m1', 'm2', 'mü'),
      at: fc.oneof(
        fc.integer({ min: 0, max: 600 }).map((m) => base + m * 5 * minute),
        fc.integer({ min: 0, max: 3000 }).map((m) => base + m * minute),
      ),
      reading: fc.oneof(
        fc.constant(null),
        fc.integer({ min: -3, max: 3 }),
        fc.double({ min: -1e6, max: 1e6 }),
      ),
    });
    const [rows, batch, asked] = fc.sample(
      fc.tuple(
        fc.array(reading, { minLength: 150, maxLength: 150 }),
        fc.array(reading, { minLength: 150, maxLength: 150 }),
        fc.array(reading, { minLength: 80, maxLength: 80 }),
      ),
      { numRuns: 1, seed: Number(process.env.SEED ?? Date.now() % 1e9) },
    )[0]!;
    await prepare(store, batch.map(line));
    const view = readings({ source: `${parent}/sources/log` });
    await store.client.applyFeatureView({ featureView: view });
    for (let i = 0; i < rows.length; i += 40) await push(rows.slice(i, i + 40));
    // In two steps, the second from where the first ended.
    await materialize(store.client, base + 20 * hour);
    await materialize(store.client, base + 60 * hour);
    const machines = asked.map((a) => a.machine);
    const at = asked.map((a) => a.at);
    const expected = await offline(store.client, machines, at);
    const found = await online(store.client, machines, at);
    const present = found.columns.get('mean_3h')!.filter((v) => v !== null).length;
    expect(present).toBeGreaterThan(10);
    for (const [name, values] of found.columns)
      expect([name, values]).toEqual([name, expected.columns.get(name)]);
  }, 60_000);

  it('agree within the horizon also on what was before the rows that were read in full', async () => {
    await store.close();
    store = await startStore(nats.url);
    const end = base + 200 * hour;
    const rows = [
      { machine: 'm1', at: end - 150 * hour, reading: 1 },
      { machine: 'm1', at: end - hour, reading: 2 },
      { machine: 'm2', at: end - hour, reading: 3 },
    ];
    await prepare(store, rows.map(line));
    const view = { ...readings({ source: `${parent}/sources/log` }), ttl: { seconds: 0n } };
    await store.client.applyFeatureView({ featureView: view });
    await materialize(store.client, end);
    const machines = ['m1', 'm2', 'm1', 'm2', 'm1'];
    const at = [end - 10 * hour, end - 10 * hour, end, end, end - 160 * hour];
    const found = await online(store.client, machines, at);
    const { PRESENT, NOT_FOUND, NOT_RETAINED } = FeatureStatus;
    expect(found.statuses.get('last')).toEqual([PRESENT, NOT_FOUND, PRESENT, PRESENT, NOT_RETAINED]);
    expect(found.columns.get('last')).toEqual([1n, null, 2n, 3n, null]);
    const expected = await offline(store.client, machines, at);
    expect(found.columns.get('last')).toEqual(expected.columns.get('last'));
  }, 60_000);

  it('agree on the rows of a source though a row of the far future was pushed for their key', async () => {
    await store.close();
    store = await startStore(nats.url);
    const end = Math.floor(Date.now() / 3_600_000) * hour;
    const rows = [30, 3, 2, 0.5].map((hours) => ({
      machine: 'm1',
      at: end - hours * hour,
      reading: hours + 0.25,
    }));
    await prepare(store, rows.map(line));
    await store.client.applyFeatureView({ featureView: readings({ source: `${parent}/sources/log` }) });
    await materialize(store.client, end);
    const asked = [
      ['m1', 'm1'],
      [end, end - 20 * hour],
    ] as const;
    const before = await online(store.client, ...asked);
    await push([{ machine: 'm1', at: end + 365 * 24 * hour, reading: 5 }]);
    expect(await online(store.client, ...asked)).toEqual(before);
    expect(before.columns.get('n_1h')).toEqual([1n, 0n]);
  }, 60_000);

  it('materializing again, in full, over the same or a longer range changes nothing', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => ({
      machine: 'm1',
      at: base + i * 7 * minute,
      reading: i,
    }));
    await prepare(store, rows.map(line));
    const view = readings({ source: `${parent}/sources/log` });
    await store.client.applyFeatureView({ featureView: view });
    await materialize(store.client, base + 6 * hour);
    const before = await online(store.client, ['m1'], [base + 6 * hour]);
    await materialize(store.client, base + 6 * hour);
    await materialize(store.client, base + 8 * hour, { full: true });
    await materialize(store.client, base + 9 * hour);
    const after = await online(store.client, ['m1'], [base + 6 * hour]);
    expect(after).toEqual(before);
    const held = await store.client.getFeatureView({ name: view.name });
    expect(held.featureView!.materializedUntil!.seconds).toBe(BigInt((base + 9 * hour) / 1e6));
  });
});

describe('pushed rows', () => {
  beforeEach(async () => {
    await prepare(store);
    await store.client.applyFeatureView({ featureView: readings() });
  });

  it('count once for a request id, online and in training sets', async () => {
    const rows = [{ machine: 'm1', at: base, reading: 2 }];
    const [a, b] = await Promise.all([push(rows, 'once'), push(rows, 'once')]);
    await push(rows, 'once');
    expect(a).toEqual(b);
    await expect(push([{ ...rows[0]!, reading: 3 }], 'once')).rejects.toMatchObject({
      code: 'REQUEST_ID_REUSED',
    });
    const found = await online(store.client, ['m1'], [base]);
    expect(found.columns.get('n_1h')).toEqual([1n]);
    expect((await offline(store.client, ['m1'], [base])).columns.get('n_1h')).toEqual([1n]);
  });

  it('have a status and an event time for each value', async () => {
    await push([
      { machine: 'm1', at: base, reading: 2 },
      { machine: 'm2', at: base, reading: null },
    ]);
    const two = base + 2 * hour;
    const found = await online(
      store.client,
      ['m1', 'm2', 'm3', 'm1', 'm1'],
      [base, base, base, two, two + 1],
    );
    const { PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE } = FeatureStatus;
    expect(found.statuses.get('last')).toEqual([PRESENT, NULL_VALUE, NOT_FOUND, PRESENT, OUTSIDE_MAX_AGE]);
    expect(found.columns.get('last')).toEqual([2, null, null, 2, null]);
    expect(found.times.get('last')).toEqual([base, base, 0, base, base]);
    expect(found.statuses.get('n_1h')).toEqual([PRESENT, PRESENT, NOT_FOUND, PRESENT, PRESENT]);
    expect(found.columns.get('n_1h')).toEqual([1n, 1n, 0n, 0n, 0n]);
  });

  it('stay when the view becomes a new version', async () => {
    await push([{ machine: 'm1', at: base, reading: 2 }]);
    const { aggregations, ...rest } = readings();
    const changed = { ...rest, aggregations: aggregations.slice(0, 2) };
    const { featureView } = await store.client.applyFeatureView({ featureView: changed });
    expect(featureView!.version).toBe(2);
    expect((await store.client.applyFeatureView({ featureView: changed })).featureView).toEqual(featureView);
    await materialize(store.client, base);
    expect((await online(store.client, ['m1'], [base])).columns.get('n_1h')).toEqual([1n]);
  });

  it('are told of by one event for each push', async () => {
    await push([{ machine: 'm1', at: base, reading: 2 }], 'p');
    await push([{ machine: 'm1', at: base, reading: 2 }], 'p');
    const transport = grpcTransport({ address: store.address });
    const log = createClient(EventLogService, transport, { deadlineMs: 5000 });
    const { events } = await log.listEvents({ pageSize: 100 });
    transport.close();
    expect(events.map((e) => e.type)).toEqual([
      'millrace.features.entity.applied.v1',
      'millrace.features.source.applied.v1',
      'millrace.features.view.applied.v1',
      'millrace.features.rows.pushed.v1',
    ]);
  });

  it('go with their view, and a new view of the name starts empty', async () => {
    await push([{ machine: 'm1', at: base, reading: 2 }]);
    await store.client.deleteFeatureView({ name: readings().name });
    await expect(push([])).rejects.toMatchObject({ kind: 'not_found' });
    await store.client.applyFeatureView({ featureView: readings() });
    expect((await online(store.client, ['m1'], [base])).columns.get('n_1h')).toEqual([0n]);
    expect((await offline(store.client, ['m1'], [base])).columns.get('n_1h')).toEqual([0n]);
  });
});

it('a training set is a Parquet file with statistics, and can be asked for again', async () => {
  await prepare(store);
  await store.client.applyFeatureView({ featureView: readings() });
  await push([0, 1, 2, 3].map((i) => ({ machine: 'm1', at: base + i, reading: i })));
  const { name } = await offline(store.client, ['m1', 'm1', 'm9'], [base + 3, base + 1, base]);
  const { trainingSet } = await store.client.getTrainingSet({ name });
  expect(trainingSet).toMatchObject({ state: JobState.SUCCEEDED, progress: 1, rowCount: 3n });
  expect(trainingSet!.columns.map((c) => c.name)).toEqual([
    'machine',
    'at',
    'last',
    'n_1h',
    'mean_3h',
    'max_24h',
    'sd_24h',
  ]);
  const { statistics } = trainingSet!.columns[2]!;
  expect(statistics).toMatchObject({ count: 2n, nullCount: 1n, min: 1, max: 3, mean: 2 });
  const bins = statistics!.histogram.reduce((sum, bin) => sum + Number(bin.count), 0);
  expect(bins).toBe(2);
  expect(statistics!.histogram.map((bin) => [bin.lower, bin.upper, bin.count])).toEqual([[1, 3, 2n]]);
  expect(statistics!.quantiles).toHaveLength(21);
  const pieces: Uint8Array[] = [];
  for await (const { data } of store.client.downloadTrainingSet({ name })) pieces.push(data);
  const file = Buffer.concat(pieces);
  expect(file.toString('latin1', 0, 4)).toBe('PAR1');
  expect(file.length).toBe(Number(trainingSet!.sizeBytes));
  const { trainingSets } = await store.client.listTrainingSets({ parent });
  expect(trainingSets.map((s) => s.name)).toEqual([name]);
});
