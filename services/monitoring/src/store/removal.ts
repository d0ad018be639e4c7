import type { Monitor } from '../domain/monitor.ts';
import type { RemovalDoc } from './collections.ts';
import { monitorKey, parseMonitorKey, seriesKey } from './keys.ts';
import { all, type Store } from './store.ts';

/**
 * Notes that a monitor is about to be deleted. The note stays: it tells one that is made again under the name how many were
 * before, so that nothing of theirs is taken for its own.
 */
export async function noteRemoval(store: Store, monitor: Monitor): Promise<void> {
  const key = monitorKey(monitor);
  const times = (monitor.again ?? 0) + 1;
  await store.removals.upsert(key, (doc) =>
    doc && timesOf(doc) >= times ? undefined : { doc: { monitor: key, times } },
  );
}

/** How many monitors of a name were deleted. Those that older releases deleted are known by what they left. */
export async function timesDeleted(store: Store, key: string): Promise<number> {
  const note = await store.removals.get(key);
  if (note) return timesOf(note.doc);
  const where = { monitor: key };
  return (await store.reports.count(where)) + (await store.alerts.count(where)) > 0 ? 1 : 0;
}

const timesOf = ({ times = 1 }: RemovalDoc) => times;

/** Removes what a deleted monitor leaves behind: its windows and their rows. Its reports and alarms stay readable. */
export async function clearSeries(store: Store, series: string): Promise<void> {
  await removeChunks(store, { monitor: series });
  for await (const { id } of all(store.windows, { where: { monitor: series } }))
    await store.windows.remove(id);
}

/** Removes the rows of a monitor, or of one of its windows: some at a time, as each may have megabytes, in one commit. */
export async function removeChunks(
  store: Store,
  where: { readonly monitor: string; readonly startMs?: number },
): Promise<void> {
  for (;;) {
    const { items } = await store.chunks.find({ where, limit: 20 });
    if (items.length === 0) return;
    await Promise.all(items.map(({ id }) => store.chunks.remove(id)));
  }
}

/**
 * Clears every monitor that was deleted, also of what came in while it was. Where the last of a name is still there, its
 * deletion is under way or did not come to pass.
 */
export async function clearRemovals(store: Store): Promise<void> {
  for await (const { id, doc: note } of all(store.removals, { where: { done: false } })) {
    const times = timesOf(note);
    const live = (await store.monitors.get(id))?.doc;
    if (live && (live.again ?? 0) < times) continue;
    for (let again = 0; again < times; again++)
      await clearSeries(store, seriesKey({ ...parseMonitorKey(id), again }));
    await store.removals.change(id, (doc) =>
      timesOf(doc) === times ? { doc: { ...doc, times, done: true } } : undefined,
    );
  }
}

const dayMs = 24 * 3_600_000;

/**
 * Forgets labels that no window waits for: those known before the oldest window that is not measured, and well before the
 * label clock, of every monitor of their deployment; and those of deployments that nobody watches. Labels that came in
 * within a day, by the service's clock, stay: rows and labels travel by different streams.
 */
export async function forgetLabels(store: Store, nowMs: number): Promise<void> {
  const needed = new Map<string, number>();
  // Ids begin with the time, so this walks from the oldest on.
  for await (const { id, doc, createdAtMs } of all(store.labels, {})) {
    if (createdAtMs > nowMs - dayMs) return;
    const { deployment, knownMs } = doc;
    const from = needed.get(deployment) ?? (await neededFrom(store, deployment));
    needed.set(deployment, from);
    if (knownMs < from) await store.labels.remove(id);
  }
}

/** The oldest moment whose labels some monitor of a deployment may still ask for; infinite when there is none. */
async function neededFrom(store: Store, deployment: string): Promise<number> {
  let from = Number.POSITIVE_INFINITY;
  for await (const { doc } of all(store.monitors, { where: { deployment } })) {
    const monitor = seriesKey(doc);
    const { lengthMs, latenessMs, labelDelayMs } = doc.spec.window;
    from = Math.min(from, doc.labelsMs - lengthMs - latenessMs - labelDelayMs - dayMs);
    for (const state of ['open', 'judged'] as const) {
      const orderBy = [{ field: 'startMs' }] as const;
      const { items } = await store.windows.find({ where: { monitor, state }, orderBy, limit: 1 });
      from = Math.min(from, items[0]?.doc.startMs ?? from);
    }
  }
  return from;
}
