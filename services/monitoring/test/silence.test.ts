import { type DocumentStore, newId, openDocuments } from '@millrace/documents';
import { tempDir } from '@millrace/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MonitorSpec, newMonitor, respecify } from '../src/domain/monitor.ts';
import { closeWindows } from '../src/store/close.ts';
import { collections } from '../src/store/collections.ts';
import { takeRows } from '../src/store/intake.ts';
import { monitorKey } from '../src/store/keys.ts';
import { openStore, type Store } from '../src/store/store.ts';

const minute = 60_000;
const hour = 60 * minute;
const year = 365 * 24 * hour;
const deployment = 'projects/p/deployments/d';

const spec: MonitorSpec = {
  deployment,
  baseline: '',
  window: { lengthMs: hour, offsetMs: 0, latenessMs: 0, labelDelayMs: 0, minRows: 10, idleMs: 10 * minute },
  drift: { columns: [], overrides: [], share: 0.5, correction: 'none' },
  rules: [
    {
      id: 'silent',
      metric: 'quality.rows',
      comparison: 'at-most',
      threshold: 0,
      raiseAfter: 2,
      resolveThreshold: 0,
      resolveAfter: 1,
      severity: 'critical',
      description: '',
    },
  ],
  paused: false,
  description: '',
  tags: [],
};
const key = 'p/m';

let documents: DocumentStore;
let store: Store;
let folder: ReturnType<typeof tempDir>;
let nowMs = 0;

beforeEach(async () => {
  folder = tempDir('millrace-silence-');
  documents = await openDocuments({ url: `sqlite:${folder.path}/d.db`, collections });
  store = openStore(documents);
  nowMs = 3 * year;
});
afterEach(async () => {
  await documents.close();
  await folder.remove();
});

const watch = async (more: Partial<MonitorSpec> = {}) => {
  const monitor = newMonitor('p', 'm', { ...spec, ...more }, nowMs);
  await store.monitors.insert(monitorKey(monitor), monitor);
};
const close = () => closeWindows(store, key, () => nowMs);
/** Rows of these moments, logged now. */
const rows = (...timesMs: readonly number[]) =>
  takeRows(
    store,
    {
      id: newId(),
      deployment,
      modelVersion: 'projects/p/models/m/versions/1',
      loggedMs: nowMs,
      inferenceIds: timesMs.map(String),
      timesMs,
      inputs: [],
      outputs: [{ name: 'score', kind: 'number', values: Float64Array.from(timesMs) }],
    },
    nowMs,
  );
/** Hours since `from` and how many rows their windows had. */
const reported = async (from: number) => {
  const { items } = await store.reports.find({
    where: { monitor: key },
    orderBy: [{ field: 'startMs' }],
    limit: 500,
  });
  return items.map(({ doc }) => [(doc.startMs - from) / hour, doc.rowCount]);
};
const alarms = async () =>
  (await store.alerts.find({ where: { monitor: key } })).items.map(({ doc }) => doc.state);

test('when rows stop coming their windows end by the clock, and silence raises an alarm until they come again', async () => {
  const from = nowMs;
  await watch();
  await rows(from - 1, from);
  nowMs += 68 * minute;
  await close();
  expect(await reported(from)).toEqual([[-1, 1]]);
  // An hour and the timeout after the newest row.
  nowMs += 2 * minute + 1;
  await close();
  expect(await reported(from)).toEqual([
    [-1, 1],
    [0, 1],
  ]);
  nowMs += hour;
  await close();
  expect(await alarms()).toEqual([]);
  nowMs += hour;
  await close();
  await close();
  expect(await reported(from)).toEqual([
    [-1, 1],
    [0, 1],
    [1, 0],
    [2, 0],
  ]);
  expect(await alarms()).toEqual(['raised']);
  await rows(from + 5 * hour, from + 6 * hour);
  await close();
  // The hours between are told of too; a row of an hour that was reported is too late.
  await rows(from + 2 * hour, from + 7 * hour);
  await close();
  expect(await reported(from)).toEqual([
    [-1, 1],
    [0, 1],
    [1, 0],
    [2, 0],
    [3, 0],
    [4, 0],
    [5, 1],
    [6, 1],
  ]);
  expect(await alarms()).toEqual(['resolved']);
});

test('a deployment that never gets a row is silent from the beginning, and a long silence is told of a hundred times', async () => {
  await watch();
  const from = nowMs;
  nowMs += year;
  await close();
  await close();
  const all = await reported(from);
  expect(all).toHaveLength(100);
  expect(all.slice(0, 2)).toEqual([
    [1, 0],
    [2, 0],
  ]);
  expect(await alarms()).toEqual(['raised']);
});

test('event time of long ago is not taken for silence since then: it goes on at the pace of the clock', async () => {
  await watch();
  await rows(year);
  await close();
  nowMs += 2 * hour + 11 * minute;
  await close();
  expect(await reported(year)).toEqual([
    [0, 1],
    [1, 0],
  ]);
});

test('the same rows replayed later give the same reports, gaps included', async () => {
  await watch();
  const from = nowMs;
  const hours = [0, 1, 4, 5, 9];
  for (const h of hours) {
    nowMs = from + h * hour;
    await rows(from + h * hour);
    await close();
  }
  const live = await reported(from);
  expect(live).toHaveLength(9);
  for (const { id } of (await store.reports.find({ where: { monitor: key } })).items)
    await store.reports.remove(id);
  for (const state of ['open', 'judged', 'measured'])
    for (const { id } of (await store.windows.find({ where: { monitor: key, state } })).items)
      await store.windows.remove(id);
  await store.monitors.remove(key);
  nowMs += year;
  await watch();
  for (const h of hours) await rows(from + h * hour);
  await close();
  expect(await reported(from)).toEqual(live);
});

test('without the timeout, and while it is paused, silence is not told of', async () => {
  const { idleMs: _, ...window } = spec.window;
  await watch({ window });
  const from = nowMs;
  await rows(from, from + 5 * hour);
  await close();
  nowMs += 100 * hour;
  await close();
  expect(await reported(from)).toEqual([[0, 1]]);
  await store.monitors.change(key, (doc) => ({ doc: respecify(doc, { ...spec, paused: true }, nowMs) }));
  nowMs += 100 * hour;
  await close();
  await store.monitors.change(key, (doc) => ({ doc: respecify(doc, spec, nowMs) }));
  const before = (await reported(from)).length;
  nowMs += hour;
  await close();
  expect((await reported(from)).slice(before)).toEqual([]);
  nowMs += 2 * hour;
  await close();
  expect((await reported(from)).slice(before).length).toBeGreaterThan(0);
});
