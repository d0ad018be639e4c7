import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AlertRule, decideAlert, type RuleState } from '../src/domain/alert.ts';
import { droppedRules, type MonitorSpec, newMonitor, respecify } from '../src/domain/monitor.ts';
import { classification, regression } from '../src/domain/performance.ts';
import { countBins, profileCurrent, profileReference, sortedValues, thin } from '../src/domain/profile.ts';
import { judgeQuality } from '../src/domain/quality.ts';
import { isClosed, isPlausible, windowStart } from '../src/domain/window.ts';

const integer = { min: -1_000_000_000_000, max: 1_000_000_000_000 };
const seconds = fc.integer({ min: 1, max: 90 * 24 * 3600 }).map((s) => s * 1000);
const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 });
const withGaps = fc.array(fc.oneof(fc.double({ min: -1e6, max: 1e6 }), fc.constant(Number.NaN)), {
  maxLength: 200,
});

test('every moment falls in exactly one window, before 1970 and with an offset too', () => {
  fc.assert(
    fc.property(
      fc.integer(integer),
      seconds,
      fc.integer({ min: 0, max: 10_000 }),
      (time, lengthMs, offset) => {
        const rule = { lengthMs, offsetMs: offset * 1000, latenessMs: 0 };
        const start = windowStart(time, rule);
        expect(start <= time && time < start + lengthMs).toBe(true);
        expect(Math.abs((start - rule.offsetMs) % lengthMs)).toBe(0);
        expect(windowStart(start, rule)).toBe(start);
        expect(windowStart(start - 1, rule)).toBe(start - lengthMs);
        expect(Number.isInteger(start / 1000)).toBe(true);
      },
    ),
  );
});

test('a window is open until the watermark passes its end and its lateness', () => {
  const rule = { lengthMs: 1000, offsetMs: 0, latenessMs: 500 };
  expect([2499, 2500].map((watermark) => isClosed(1000, watermark, rule))).toEqual([false, true]);
  expect(isClosed(1000, Number.NEGATIVE_INFINITY, rule)).toBe(false);
});

test('times that cannot be true are told apart', () => {
  const now = Date.UTC(2026, 0, 1);
  const times = [now, now + 3_600_000, now + 2 * 86_400_000, Date.UTC(1969, 0, 1), -9e15, Number.NaN];
  expect(times.map((time) => isPlausible(time, now))).toEqual([true, true, false, true, false, false]);
});

const rules = fc.record({
  comparison: fc.constantFrom('at-least' as const, 'at-most' as const),
  threshold: fc.integer({ min: -5, max: 5 }),
  gap: fc.integer({ min: 0, max: 4 }),
  raiseAfter: fc.integer({ min: 1, max: 4 }),
  resolveAfter: fc.integer({ min: 1, max: 4 }),
});

test('alarms alternate, each after enough windows in a row, and a missing value changes nothing', () => {
  const observed = fc.array(fc.option(fc.integer({ min: -9, max: 9 }), { nil: undefined }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(rules, observed, ({ gap, ...given }, series) => {
      const sign = given.comparison === 'at-least' ? 1 : -1;
      const rule: AlertRule = {
        ...given,
        id: 'r',
        metric: 'm',
        resolveThreshold: given.threshold - sign * gap,
      };
      const past = (value: number, line: number) => (sign > 0 ? value >= line : value <= line);
      let state: RuleState = { streak: 0 };
      // What was seen since the last change, missing values left out.
      let since: number[] = [];
      for (const [i, value] of series.entries()) {
        const before = state;
        const decision = decideAlert(rule, state, value, `alarm-${i}`);
        state = decision.state;
        if (value === undefined) {
          expect(decision).toEqual({ kind: 'stay', state: before });
          continue;
        }
        since.push(value);
        const raises = since.slice(-rule.raiseAfter);
        const resolves = since.slice(-rule.resolveAfter);
        const behind = (v: number) =>
          !past(v, rule.threshold) && (v === rule.resolveThreshold || !past(v, rule.resolveThreshold));
        const expected = before.alert
          ? resolves.length === rule.resolveAfter && resolves.every(behind)
            ? 'resolve'
            : 'stay'
          : raises.length === rule.raiseAfter && raises.every((v) => past(v, rule.threshold))
            ? 'raise'
            : 'stay';
        expect(decision.kind).toBe(expected);
        if (decision.kind !== 'stay') since = [];
        expect(state.alert).toBe(
          decision.kind === 'raise' ? `alarm-${i}` : decision.kind === 'resolve' ? undefined : before.alert,
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('a value that is no number decides nothing', () => {
  const rule: AlertRule = {
    id: 'r',
    metric: 'm',
    comparison: 'at-least',
    threshold: 1,
    raiseAfter: 2,
    resolveThreshold: 1,
    resolveAfter: 1,
  };
  expect(decideAlert(rule, { streak: 1 }, Number.NaN, 'a')).toEqual({ kind: 'stay', state: { streak: 1 } });
});

test('a profile counts every row once, in the bins of its reference', () => {
  fc.assert(
    fc.property(withGaps, withGaps, (reference, window) => {
      const column = (list: number[]) => ({
        name: 'x',
        kind: 'number' as const,
        values: Float64Array.from(list),
      });
      const profile = profileReference(column(reference));
      const current = profileCurrent(column(window), profile, sortedValues(Float64Array.from(window)));
      for (const [made, list] of [
        [profile, reference],
        [current, window],
      ] as const) {
        expect(made.count).toBe(list.length);
        expect(made.nulls).toBe(list.filter(Number.isNaN).length);
        expect(made.binCounts?.reduce((sum, n) => sum + n, 0)).toBe(made.count - made.nulls);
      }
      expect(current.edges).toEqual(profile.edges);
      const edges = profile.edges ?? [];
      expect(edges.at(-1)).toBe(Number.POSITIVE_INFINITY);
      expect(edges.every((edge, i) => i === 0 || edge > edges[i - 1]!)).toBe(true);
      const known = window.filter((v) => !Number.isNaN(v));
      const brute = edges.map(
        (edge, i) => known.filter((v) => v <= edge && (i === 0 || v > edges[i - 1]!)).length,
      );
      expect(countBins(sortedValues(Float64Array.from(window)), edges)).toEqual(brute);
    }),
  );
});

test('thinning keeps the ends, the order and the quantiles', () => {
  const sorted = Float64Array.from({ length: 50_001 }, (_, i) => i);
  const thinned = thin(sorted);
  expect([thinned.length, thinned[0], thinned.at(-1)]).toEqual([20_000, 0, 50_000]);
  expect(thinned.every((v, i) => i === 0 || v > thinned[i - 1]!)).toBe(true);
  expect(Math.abs(thinned[10_000]! - 25_000)).toBeLessThan(3);
  expect(thin(sorted.slice(0, 5))).toEqual(sorted.slice(0, 5));
});

test('quality counts missing, out of range and new values, and only claims what the baseline can tell', () => {
  const numbers = { name: 'x', kind: 'number' as const };
  const words = { name: 'w', kind: 'category' as const };
  const references = [
    profileReference({ ...numbers, values: Float64Array.of(0, 10) }),
    profileReference({ ...words, values: ['a', 'b'] }),
  ];
  const window = [
    { ...numbers, values: Float64Array.of(-1, 5, Number.NaN, Number.POSITIVE_INFINITY) },
    { ...words, values: ['a', null, 'c', 'c'] },
  ];
  const [x, w] = judgeQuality(window, references);
  expect(x).toMatchObject({ nullShare: 0.25, outOfRangeShare: 0.5 });
  expect(w).toMatchObject({ nullShare: 0.25, newCategoryShare: 0.5, newCategories: ['c'] });
  const many = profileReference({ ...words, values: Array.from({ length: 150 }, (_, i) => `v${i}`) });
  expect(judgeQuality([window[1]!], [many])[0]).toMatchObject({ newCategoryShare: 0 });
  expect(judgeQuality(window, [])[0]).toMatchObject({ outOfRangeShare: 0, nullShare: 0.25 });
});

test('performance is what counting by hand gives', () => {
  const labelled = fc.array(fc.tuple(fc.integer({ min: 0, max: 10 }), fc.boolean()), {
    minLength: 1,
    maxLength: 80,
  });
  fc.assert(
    fc.property(labelled, (rows) => {
      const scores = Float64Array.from(rows, ([score]) => score / 10);
      const labels = Float64Array.from(rows, ([, yes]) => Number(yes));
      const metrics = new Map(classification({ scores, labels }, 0.5));
      const [yes, no] = [true, false].map((want) =>
        rows.filter(([, label]) => label === want).map(([s]) => s / 10),
      );
      const wins = yes!.flatMap((a) => no!.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
      const mean = (list: readonly number[]) => list.reduce((sum, v) => sum + v, 0) / list.length;
      if (wins.length > 0) expect(metrics.get('auc')).toBeCloseTo(mean(wins), 10);
      else expect(metrics.has('auc')).toBe(false);
      expect(metrics.get('accuracy')).toBeCloseTo(mean(rows.map(([s, y]) => Number(s >= 5 === y))), 10);
      expect(metrics.get('brier')).toBeCloseTo(mean(rows.map(([s, y]) => (s / 10 - Number(y)) ** 2)), 10);
      const recalled = yes!.filter((s) => s >= 0.5).length;
      if (yes!.length > 0) expect(metrics.get('recall')).toBeCloseTo(recalled / yes!.length, 10);
    }),
  );
  fc.assert(
    fc.property(values, (truth) => {
      const labels = Float64Array.from(truth);
      const metrics = new Map(regression({ scores: labels.map((v) => v + 2), labels }));
      expect(metrics.get('mae')).toBeCloseTo(2, 6);
      expect(metrics.get('rmse')).toBeCloseTo(2, 6);
      expect(metrics.get('mean_error')).toBeCloseTo(2, 6);
    }),
  );
});

const spec: MonitorSpec = {
  deployment: 'projects/p/deployments/d',
  baseline: '',
  window: { lengthMs: 1000, offsetMs: 0, latenessMs: 0, labelDelayMs: 0, minRows: 1 },
  drift: { columns: [], overrides: [], share: 0.5, correction: 'none' },
  rules: ['a', 'b'].map((id) => ({
    id,
    metric: 'quality.rows',
    comparison: 'at-least',
    threshold: 1,
    raiseAfter: 1,
    resolveThreshold: 1,
    resolveAfter: 1,
    severity: 'info',
    description: '',
  })),
  paused: false,
  description: '',
  tags: [],
};

test('a new spec keeps what it does not change', () => {
  const made = newMonitor('p', 'm', spec, 5);
  const state = { streak: 1, windowMs: 0 };
  const seen = {
    ...made,
    watermarkMs: 7,
    labelsMs: 6,
    rules: [['a', state] as const, ['b', state] as const],
  };
  const changed = {
    ...spec,
    rules: spec.rules.map((rule) => (rule.id === 'a' ? { ...rule, threshold: 2 } : rule)),
  };
  expect(droppedRules(seen, changed)).toEqual(['a']);
  const next = respecify(seen, changed, 9);
  expect(next).toMatchObject({
    revision: 2,
    createdMs: 5,
    appliedMs: 9,
    watermarkMs: 7,
    rules: [['b', state]],
  });
  const moved = respecify(seen, { ...spec, deployment: 'projects/p/deployments/e' }, 9);
  expect(moved).toMatchObject({ watermarkMs: Number.NEGATIVE_INFINITY, labelsMs: Number.NEGATIVE_INFINITY });
});
