import { names } from '@millrace/contracts';
import { notFound } from '@millrace/errors';
import { decideAlert } from '../domain/alert.ts';
import type { Monitor } from '../domain/monitor.ts';
import { classification, regression } from '../domain/performance.ts';
import { makeReport, mayDecide, metricOf, needsLabels, type Report } from '../domain/report.ts';
import { emptyBefore, eventNow, expectAfter, isOver } from '../domain/silence.ts';
import { raiseAlert, resolveAlert } from './alerts.ts';
import type { AlertDoc } from './collections.ts';
import { performanceDraft, reportDrafts, reportName } from './events.ts';
import { monitorKey, reportId, reportKey, seriesKey, windowKey } from './keys.ts';
import { removeChunks } from './removal.ts';
import { readLabelled, readWindow } from './rows.ts';
import { all, referencesOf, type Store } from './store.ts';

/** Whether a window is to be judged, or measured, now. */
type Due = (monitor: Monitor, startMs: number) => boolean;

/** How long, by event time, rows are kept for labels that do not come. */
const patienceMs = 30 * 24 * 3_600_000;

/**
 * Judges the windows that are over, oldest first, and measures those whose labels are in. Every step is idempotent and
 * its id follows from the window, so that a crash anywhere is healed by doing it again. Answers the new reports' names.
 */
export async function closeWindows(
  store: Store,
  key: string,
  now: () => number,
  due: Due = (monitor, startMs) => isOver(monitor, startMs, now()),
): Promise<string[]> {
  const made: string[] = [];
  let monitor = (await store.monitors.get(key))?.doc;
  if (!monitor) return made;
  const { again } = monitor;
  const series = seriesKey(monitor);
  /** Judges a window and notes which is expected after it. */
  const judge = async (startMs: number, isEmpty: boolean) => {
    made.push(await judgeWindow(store, monitor!, startMs, now()));
    monitor = (
      await store.monitors.change(key, (doc) => {
        // It was deleted, and one was made again under its name.
        if (doc.again !== again)
          throw notFound(names.monitor.format({ project: doc.project, monitor: doc.id }));
        const expected = expectAfter(doc, startMs, isEmpty);
        const same = expected.startMs === doc.expected?.startMs && expected.empty === doc.expected.empty;
        return same || doc.spec.window.idleMs === undefined ? undefined : { doc: { ...doc, expected } };
      })
    ).doc;
  };
  /** Reports the windows without rows before one. */
  const tellSilence = async (beforeMs: number) => {
    for (let at = emptyBefore(monitor!, beforeMs); at !== undefined; at = emptyBefore(monitor!, beforeMs)) {
      if (at + monitor!.spec.window.lengthMs > eventNow(monitor!, now()) || !due(monitor!, at)) return;
      await store.windows.upsert(windowKey(series, at), (doc) =>
        doc ? undefined : { doc: { monitor: series, startMs: at!, state: 'open' } },
      );
      await judge(at, true);
    }
  };
  for await (const { doc } of all(store.windows, {
    where: { monitor: series, state: 'open' },
    orderBy: [{ field: 'startMs' }],
  })) {
    if (!due(monitor, doc.startMs)) break;
    await tellSilence(doc.startMs);
    await judge(doc.startMs, false);
  }
  await tellSilence(Number.POSITIVE_INFINITY);
  for await (const { doc } of all(store.windows, {
    where: { monitor: series, state: 'judged' },
    orderBy: [{ field: 'startMs' }],
  })) {
    const labelledMs = doc.startMs + monitor.spec.window.lengthMs + monitor.spec.window.labelDelayMs;
    // Where nothing is predicted no label is waited for; where labels do not come at all, not for ever.
    const waits = monitor.spec.prediction && monitor.labelsMs < labelledMs;
    if (waits && monitor.watermarkMs < labelledMs + patienceMs) break;
    await measureWindow(store, monitor, doc.startMs, now());
  }
  return made;
}

async function judgeWindow(store: Store, monitor: Monitor, startMs: number, nowMs: number): Promise<string> {
  const series = seriesKey(monitor);
  const rows = await readWindow(store, series, startMs);
  const references = monitor.spec.baseline
    ? await referencesOf(store, baselineKey(monitor.spec.baseline))
    : [];
  const report = await atLeisure(makeReport(monitor, rows, references));
  const key = reportKey(monitorKey(monitor), reportId(report));
  const stored = await store.reports.upsert(key, (doc) =>
    doc ? undefined : { doc: report, emit: reportDrafts(report, nowMs) },
  );
  await decideRules(store, monitor, stored?.doc ?? report, nowMs, (metric) => !needsLabels(metric));
  await store.windows.change(windowKey(series, startMs), (doc) =>
    doc.state === 'open' ? { doc: { ...doc, state: 'judged' } } : undefined,
  );
  return reportName(report);
}

/** Goes through a computation step by step; between two of them everybody else has a turn. */
async function atLeisure<R>(steps: Generator<undefined, R>): Promise<R> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    await new Promise(setImmediate);
  }
}

async function measureWindow(store: Store, monitor: Monitor, startMs: number, nowMs: number): Promise<void> {
  const series = seriesKey(monitor);
  const { prediction, window } = monitor.spec;
  if (prediction) {
    const endMs = startMs + window.lengthMs + window.labelDelayMs;
    const labelled = await readLabelled(store, monitor, startMs, endMs, prediction.column);
    const metrics =
      labelled.scores.length === 0
        ? []
        : prediction.task === 'regression'
          ? regression(labelled)
          : classification(labelled, prediction.threshold);
    const performance = { labelledRows: labelled.scores.length, metrics };
    const key = reportKey(monitorKey(monitor), reportId({ ...monitor, startMs }));
    const { doc: report } = await store.reports.change(key, (doc) => {
      if (doc.performance) return undefined;
      const measured = { ...doc, performance };
      return { doc: measured, emit: performanceDraft(measured, nowMs) };
    });
    await decideRules(store, monitor, report, nowMs, needsLabels);
  }
  // The rows have told what they had to tell; the report stays. They go before the window is done with: after a crash
  // it is measured again, and the report keeps what was measured first.
  await removeChunks(store, { monitor: series, startMs });
  await store.windows.change(windowKey(series, startMs), (doc) =>
    doc.state === 'judged' ? { doc: { ...doc, state: 'measured' } } : undefined,
  );
}

/** Lets the rules that look at these metrics decide on a report: alarms first, then the rules' state. */
async function decideRules(
  store: Store,
  monitor: Monitor,
  report: Report,
  nowMs: number,
  concerns: (metric: string) => boolean,
): Promise<void> {
  const key = monitorKey(monitor);
  const current = (await store.monitors.get(key))?.doc;
  if (current?.again !== monitor.again) return;
  const baseline = monitor.spec.baseline
    ? await store.baselines.get(baselineKey(monitor.spec.baseline))
    : undefined;
  for (const rule of current?.spec.rules ?? []) {
    if (!concerns(rule.metric) || !mayDecide(report, rule.metric, monitor.spec.window.minRows)) continue;
    const state = current?.rules.find(([id]) => id === rule.id)?.[1] ?? {
      streak: 0,
      windowMs: Number.NEGATIVE_INFINITY,
    };
    if (state.windowMs >= report.startMs) continue;
    const value = metricOf(report, rule.metric, baseline?.doc.metrics ?? []);
    const decision = decideAlert(rule, state, value, `${rule.id}-${reportId(report)}`);
    if (decision.kind === 'raise') {
      const alert: AlertDoc = {
        monitor: key,
        id: decision.state.alert ?? '',
        rule: rule.id,
        state: 'raised',
        severity: rule.severity,
        reason: decision.reason,
        value: value ?? Number.NaN,
        threshold: rule.threshold,
        raisedBy: reportName(report),
        resolvedBy: '',
        raisedMs: nowMs,
        resolvedMs: 0,
        deployment: report.deployment,
        windowEndMs: report.endMs,
      };
      await raiseAlert(store, alert);
    }
    if (decision.kind === 'resolve') {
      await resolveAlert(store, key, state.alert ?? '', reportName(report), nowMs);
    }
    const decided = { ...decision.state, windowMs: report.startMs };
    await store.monitors.change(key, (doc) => {
      const known = doc.rules.find(([id]) => id === rule.id)?.[1];
      // Another replica may be further, or the rule may have been changed or dropped meanwhile.
      if (doc.again !== monitor.again || (known && known.windowMs >= report.startMs)) return undefined;
      if (!doc.spec.rules.some((one) => JSON.stringify(one) === JSON.stringify(rule))) return undefined;
      return {
        doc: { ...doc, rules: [...doc.rules.filter(([id]) => id !== rule.id), [rule.id, decided] as const] },
      };
    });
  }
}

/** The id of a baseline's document. */
export function baselineKey(name: string): string {
  const { project, baseline } = names.baseline.parse(name, 'baseline');
  return `${project}/${baseline}`;
}
