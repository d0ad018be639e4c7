import type { Monitor } from '../domain/monitor.ts';
import type { AlertDoc } from './collections.ts';
import { alertDraft } from './events.ts';
import { monitorKey } from './keys.ts';
import type { Store } from './store.ts';

/** Keeps a new alarm and tells of it; one that is there already stays as it is. */
export async function raiseAlert(store: Store, alert: AlertDoc): Promise<void> {
  await store.alerts.upsert(`${alert.monitor}/${alert.id}`, (doc) =>
    doc ? undefined : { doc: alert, emit: [alertDraft(alert, 1, alert.raisedMs)] },
  );
}

/** Resolves an alarm and tells of it. `resolvedBy` names the report that shows it; empty when its rule is gone. */
export async function resolveAlert(
  store: Store,
  monitor: string,
  id: string,
  resolvedBy: string,
  nowMs: number,
): Promise<void> {
  await store.alerts.change(`${monitor}/${id}`, (doc, version) => {
    if (doc.state === 'resolved') return undefined;
    const resolved = { ...doc, state: 'resolved' as const, resolvedBy, resolvedMs: nowMs };
    return { doc: resolved, emit: [alertDraft(resolved, version + 1, nowMs)] };
  });
}

/** Resolves the alarms of rules that are removed or changed: nothing would ever resolve them. */
export async function dropAlerts(
  store: Store,
  monitor: Monitor,
  rules: readonly string[],
  nowMs: number,
): Promise<void> {
  for (const [rule, { alert }] of monitor.rules)
    if (alert !== undefined && rules.includes(rule))
      await resolveAlert(store, monitorKey(monitor), alert, '', nowMs);
}
