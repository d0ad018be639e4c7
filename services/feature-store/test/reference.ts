import type { FeatureView } from '../src/domain/definition.ts';
import { compareEntries } from '../src/domain/history.ts';
import type { Cell, ViewPlan } from '../src/domain/plan.ts';
import { dayUs, hourUs, minuteUs } from '../src/domain/time.ts';

/** A row of a view, as a person would write it down. */
export interface Row {
  readonly key: string;
  readonly t: number;
  readonly created: number | null;
  readonly x: number | null;
  readonly p: string | null;
}

/** The values of every feature for a key at a time, by going through all rows. Slow, short, and obviously right. */
export function naive(
  rows: readonly Row[],
  view: FeatureView,
  plan: ViewPlan,
  key: string,
  at: number,
): Cell[] {
  const known = rows.filter((row) => row.key === key && row.t <= at);
  const entries = known.map((row) => ({ timeUs: row.t, createdUs: row.created, cells: [row.p] }));
  const newest = entries.toSorted((a, b) => a.timeUs - b.timeUs || compareEntries(a, b)).at(-1);
  const fresh = newest && (view.ttlUs === 0 || newest.timeUs >= at - view.ttlUs);
  const plain = view.features.map(() => (fresh ? newest.cells[0]! : null));
  const windows = plan.windows.map((w) => {
    const hop = w.windowUs < 12 * hourUs ? 5 * minuteUs : w.windowUs < 12 * dayUs ? hourUs : dayUs;
    const start = Math.floor((at - w.windowUs) / hop) * hop;
    const inside = known.filter((row) => row.t > start);
    if (w.measure < 0) return BigInt(inside.length);
    const { places } = plan.measures[w.measure]!;
    const scale = 10 ** places;
    const values = inside
      .map((row) => row.x)
      .filter((x) => x !== null && Math.abs(Math.floor(x * scale + 0.5)) <= 2 ** 46) as number[];
    const units = values.map((x) => BigInt(Math.floor(x * scale + 0.5)));
    const sum = units.reduce((a, b) => a + b, 0n);
    if (w.fn === 'count') return BigInt(values.length);
    if (values.length === 0) return null;
    if (w.fn === 'min') return Math.min(...values) + 0;
    if (w.fn === 'max') return Math.max(...values) + 0;
    if (w.fn === 'sum') return Number(sum) / scale;
    if (w.fn === 'mean') return Number(sum) / values.length / scale;
    if (values.length < 2) return null;
    const squares = units.reduce((a, b) => a + b * b, 0n);
    const n = values.length;
    return Math.sqrt(Number(BigInt(n) * squares - sum * sum) / (n * (n - 1))) / scale;
  });
  return [...plain, ...windows];
}
