import { type Collection, type DocumentStore, newId, openDocuments } from '@millrace/documents';
import { tempDir } from '@millrace/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MonitorSpec, newMonitor } from '../src/domain/monitor.ts';
import { createJobs } from '../src/jobs.ts';
import { closeWindows } from '../src/store/close.ts';
import { collections } from '../src/store/collections.ts';
import { takeLabels, takeRows } from '../src/store/intake.ts';
import { monitorKey, seriesKey } from '../src/store/keys.ts';
import { clearRemovals, clearSeries, forgetLabels, noteRemoval, timesDeleted } from '../src/store/removal.ts';
import { openStore, type Store } from '../src/store/store.ts';

const hour = 3_600_000;
const day = 24 * hour;
const deployment = 'projects/p/deployments/d';
const modelVersion = 'projects/p/models/m/versions/1';

const spec: MonitorSpec = {
  deployment,
  baseline: '',
  window: { lengthMs: hour, offsetMs: 0, latenessMs: 0, labelDelayMs: hour, minRows: 1 },
  drift: { columns: [], overrides: [], share: 0.5, correction: 'none' },
  prediction: { task: 'regression', column: 'score', threshold: 0.5 },
  rules: [],
  paused: false,
  description: '',
  tags: [],
};

let documents: DocumentStore;
let store: Store;
let folder: ReturnType<typeof tempDir>;

beforeEach(async () => {
  folder = tempDir('millrace-tidy-');
  documents = await openDocuments({ url: `sqlite:${folder.path}/d.db`, collections });
  store = openStore(documents);
});
afterEach(async () => {
  await documents.close();
  await folder.remove();
});

const monitored = async (id: string, more: Partial<MonitorSpec> = {}) => {
  const again = await timesDeleted(store, monitorKey({ project: 'p', id }));
  const monitor = newMonitor('p', id, { ...spec, ...more }, 0, again);
  await store.monitors.insert(monitorKey(monitor), monitor);
  return monitorKey(monitor);
};
const rows = (timesMs: readonly number[]) => {
  const outputs = [{ name: 'score', kind: 'number' as const, values: Float64Array.from(timesMs) }];
  const inferenceIds = timesMs.map(String);
  return takeRows(
    store,
    {
      id: newId(),
      deployment,
      modelVersion,
      loggedMs: 400 * day,
      inferenceIds,
      timesMs,
      inputs: [],
      outputs,
    },
    0,
  );
};
const labels = (knownMs: number, of = deployment) =>
  takeLabels(store, {
    id: newId(),
    deployment: of,
    knownMs,
    inferenceIds: ['x'],
    values: Float64Array.of(1),
  });
const close = (key: string) => closeWindows(store, key, () => 0);
/** Everything there is of a collection; the tests make less than a page. */
const listed = async <T, F extends string>(collection: Collection<T, F>) => (await collection.find({})).items;
const countOf = async (name: 'chunks' | 'labels' | 'reports' | 'removals') => {
  const counts = {
    chunks: () => listed(store.chunks),
    labels: () => listed(store.labels),
    reports: () => listed(store.reports),
    removals: () => listed(store.removals),
  };
  return (await counts[name]()).length;
};

/** How many windows and batches of rows there are of a monitor, after so many of its name. */
const countSeries = async (id: string, again: number) => {
  const where = { monitor: seriesKey({ project: 'p', id, again }) };
  return [await store.windows.count(where), await store.chunks.count(where)];
};

test('rows are kept until labels have come, but not for ever', async () => {
  const key = await monitored('m');
  await rows([0, hour, 2 * hour]);
  await close(key);
  expect([await countOf('reports'), await countOf('chunks')]).toEqual([2, 3]);
  await labels(2 * hour);
  await close(key);
  expect(await countOf('chunks')).toBe(2);
  await rows([34 * day]);
  await close(key);
  // Given up: the windows of the first day, for which no label came.
  expect([await countOf('reports'), await countOf('chunks')]).toEqual([3, 1]);
});

test('where nothing is predicted, rows go as soon as they are judged', async () => {
  const { prediction: _, ...plain } = spec;
  const monitor = newMonitor('p', 'plain', plain, 0);
  await store.monitors.insert(monitorKey(monitor), monitor);
  await rows([0, hour]);
  await close(monitorKey(monitor));
  expect([await countOf('reports'), await countOf('chunks')]).toEqual([1, 1]);
});

test('a deleted monitor leaves its reports and nothing else, also after a crash in between', async () => {
  const [gone, kept] = [await monitored('gone'), await monitored('kept')];
  await rows([0, hour]);
  await close(gone);
  for (const key of [gone, kept]) await noteRemoval(store, (await store.monitors.get(key))!.doc);
  // The note of one whose deletion is under way stays, whenever the job comes.
  await clearRemovals(store);
  await store.monitors.remove(gone);
  await clearRemovals(store);
  const notes = (await listed(store.removals)).map(({ doc }) => [doc.monitor, doc.done ?? false]);
  expect(notes).toEqual([
    [gone, true],
    [kept, false],
  ]);
  expect(await countOf('reports')).toBe(1);
  for (const left of [await listed(store.windows), await listed(store.chunks)])
    expect(new Set(left.map(({ doc }) => doc.monitor))).toEqual(new Set([kept]));
});

test.each(['this release', 'an older one'])(
  'a monitor that is made again has no window of the one before, which %s deleted',
  async (release) => {
    const key = await monitored('m');
    await rows([0, hour]);
    await close(key);
    if (release === 'this release') await noteRemoval(store, (await store.monitors.get(key))!.doc);
    await store.monitors.remove(key);
    // Neither cleared, nor did everybody stop to work for it.
    await monitored('m');
    const series = seriesKey({ project: 'p', id: 'm', again: 1 });
    expect(await store.windows.count({ monitor: series })).toBe(0);
    await rows([0, hour, 2 * hour]);
    await close(key);
    const reports = (await listed(store.reports)).map(({ id, doc }) => [id, doc.rowCount]);
    expect(reports).toEqual([
      ['p/m/0', 1],
      ['p/m/0-1', 1],
      ['p/m/3600-1', 1],
    ]);
    if (release !== 'this release') await store.removals.insert(key, { monitor: key });
    await clearRemovals(store);
    const left = await Promise.all([0, 1].map((again) => countSeries('m', again)));
    expect(left).toEqual([
      [0, 0],
      [3, 3],
    ]);
  },
);

test('who still closes windows of a monitor that was deleted changes nothing of one made again', async () => {
  const silence = { window: { ...spec.window, idleMs: hour } };
  const key = await monitored('m', silence);
  await rows([5 * hour, 6 * hour]);
  const { monitors } = store;
  const change: typeof monitors.change = async (...args) => {
    if ((await monitors.get(key))?.doc.again === undefined) {
      await noteRemoval(store, (await monitors.get(key))!.doc);
      await monitors.remove(key);
      await clearSeries(store, key);
      await monitored('m', silence);
    }
    return monitors.change(...args);
  };
  const late = closeWindows({ ...store, monitors: { ...monitors, change } }, key, () => 0);
  await expect(late).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await countSeries('m', 1)).toEqual([0, 0]);
  expect((await monitors.get(key))?.doc).toEqual(newMonitor('p', 'm', { ...spec, ...silence }, 0, 1));
});

test('labels go when no window waits for them, but never on the day they came', async () => {
  const key = await monitored('m');
  await rows([0, 20 * day]);
  for (const time of [0, hour, 9 * day]) await labels(time);
  await labels(0, 'projects/p/deployments/unwatched');
  const tomorrow = Date.now() + 2 * day;
  await forgetLabels(store, Date.now());
  expect(await countOf('labels')).toBe(4);
  // The window at 0 is still open: everything known since is needed; what nobody watches is not.
  await forgetLabels(store, tomorrow);
  expect(await countOf('labels')).toBe(3);
  await close(key);
  await forgetLabels(store, tomorrow);
  expect(await countOf('labels')).toBe(1);
});

test('a monitor that cannot be judged does not keep the others from being judged', async () => {
  await monitored('a', { baseline: 'not a name' });
  const key = await monitored('b');
  await rows([0, hour]);
  const { jobs } = createJobs(store, Date.now, 'me');
  await expect(jobs[0]?.run(new AbortController().signal)).rejects.toMatchObject({ code: 'INVALID_FIELD' });
  const reports = await listed(store.reports);
  expect(reports.map(({ doc }) => monitorKey({ project: doc.project, id: doc.monitor }))).toEqual([key]);
});
