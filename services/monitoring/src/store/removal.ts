import { all, type Store } from './store.ts';

/**
 * Removes what a deleted monitor leaves behind: its windows and their rows. Its reports and alarms stay readable. The note
 * goes last, so that a crash leaves it for the next run. Answers whether there was one.
 */
export async function clearMonitor(store: Store, key: string): Promise<boolean> {
  if (!(await store.removals.get(key))) return false;
  await removeChunks(store, { monitor: key });
  for await (const { id } of all(store.windows, { where: { monitor: key } })) await store.windows.remove(id);
  await store.removals.remove(key);
  return true;
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

/** Clears every monitor that was deleted; notes whose deletion did not come to pass are dropped. */
export async function clearRemovals(store: Store): Promise<void> {
  for await (const { id } of all(store.removals, {})) {
    if (await store.monitors.get(id)) await store.removals.remove(id);
    else await clearMonitor(store, id);
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
  for await (const { id: monitor, doc } of all(store.monitors, { where: { deployment } })) {
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
