import type { ColumnData, ColumnProfile, ReferenceColumn } from '../column.ts';
import {
  countBins,
  countCategories,
  differentValues,
  profileCurrent,
  sortedValues,
  thin,
} from '../profile.ts';
import { chiSquare } from './chi-square.ts';
import { type Correction, correctedThresholds } from './correction.ts';
import { jensenShannon, populationStability } from './frequencies.ts';
import { kolmogorovSmirnov } from './kolmogorov-smirnov.ts';
import { defaultMethod, type Method, methodTable, suits } from './method.ts';
import { normedWasserstein } from './wasserstein.ts';

/** How drift is judged. */
export interface DriftRule {
  /** Empty: every column that both sides have. */
  readonly columns: readonly string[];
  readonly method?: Method;
  readonly threshold?: number;
  readonly overrides: readonly {
    readonly column: string;
    readonly method: Method;
    readonly threshold?: number;
  }[];
  /** The share of drifted columns from which the data as a whole drifted. */
  readonly share: number;
  readonly correction: Correction;
}

/** The verdict on one column, with its reason. */
export interface ColumnVerdict {
  readonly column: string;
  readonly method: Method;
  readonly statistic: number;
  readonly pValue?: number;
  readonly threshold: number;
  readonly drifted: boolean;
  readonly reason: string;
  readonly current: ColumnProfile;
  readonly reference: ColumnProfile;
}

/** The verdict on all columns. */
export interface DriftVerdict {
  readonly drifted: boolean;
  readonly share: number;
  readonly columns: readonly ColumnVerdict[];
}

interface Measured {
  readonly reference: ReferenceColumn;
  readonly current: ColumnProfile;
  readonly method: Method;
  readonly level: number;
  readonly statistic: number;
  readonly pValue?: number;
}

/**
 * Compares a window with its baseline, column by column, and gives way after each: one of a million rows takes a tenth of
 * a second. Columns without any value are left out: quality tells of them.
 */
export function* judgeDrift(
  references: readonly ReferenceColumn[],
  window: readonly ColumnData[],
  rule: DriftRule,
): Generator<undefined, DriftVerdict> {
  const wanted = new Set(rule.columns);
  const measured: Measured[] = [];
  for (const reference of references) {
    if (wanted.size > 0 && !wanted.has(reference.column)) continue;
    const data = window.find((column) => column.name === reference.column && column.kind === reference.kind);
    const found = data && measure(reference, data, rule);
    if (found) measured.push(found);
    yield;
  }
  const tests = measured.filter((m) => m.pValue !== undefined);
  const thresholds = new Map<Measured, number>();
  for (const level of new Set(tests.map((m) => m.level))) {
    const group = tests.filter((m) => m.level === level);
    const corrected = correctedThresholds(
      group.map((m) => m.pValue ?? 1),
      level,
      rule.correction,
    );
    for (const [i, m] of group.entries()) thresholds.set(m, corrected[i] ?? level);
  }
  const columns = measured.map((m) => verdict(m, thresholds.get(m) ?? m.level));
  const share = columns.length === 0 ? 0 : columns.filter((c) => c.drifted).length / columns.length;
  return { drifted: columns.length > 0 && share >= rule.share, share, columns };
}

function measure(reference: ReferenceColumn, data: ColumnData, rule: DriftRule): Measured | undefined {
  const sorted = data.kind === 'number' ? sortedValues(data.values) : new Float64Array();
  const current = profileCurrent(data, reference, sorted);
  if (current.count === current.nulls || reference.count === reference.nulls) return undefined;
  const override = rule.overrides.find((o) => o.column === reference.column);
  const wanted = override?.method ?? rule.method;
  const method = wanted && suits(wanted, reference.kind) ? wanted : defaultMethod(reference);
  const own = override ? override.threshold : method === rule.method ? rule.threshold : undefined;
  const level = own ?? methodTable[method].threshold;
  const result = compare(method, reference, current, data, sorted);
  return { reference, current, method, level, ...result };
}

function compare(
  method: Method,
  reference: ReferenceColumn,
  current: ColumnProfile,
  data: ColumnData,
  sorted: Float64Array,
) {
  if (method === 'ks' || method === 'wasserstein') {
    const values = thin(sorted);
    if (method === 'ks') return kolmogorovSmirnov(reference.sample, values);
    // An infinite value has no distance; quality tells of it.
    const [from, to] = [reference.sample.filter(Number.isFinite), values.filter(Number.isFinite)];
    return { statistic: normedWasserstein(from, to, reference.stddev ?? 0) };
  }
  const [r, c] = frequencies(reference, current, data, sorted);
  if (method === 'chi-square') return chiSquare(r, c);
  return { statistic: method === 'psi' ? populationStability(r, c) : jensenShannon(r, c) };
}

/** Counts of both sides over the same bins or categories; categories beyond the baseline's hundred count as one. */
function frequencies(
  reference: ReferenceColumn,
  current: ColumnProfile,
  data: ColumnData,
  sorted: Float64Array,
): [number[], number[]] {
  if (data.kind === 'number') {
    // Few different values are bins of their own; otherwise the baseline's tenths.
    const values =
      reference.distinct <= 20
        ? [...new Set([...reference.sample, ...differentValues(sorted)])].sort((x, y) => x - y)
        : undefined;
    if (values) return [countBins(reference.sample, values), countBins(sorted, values)];
    return [[...(reference.binCounts ?? [])], [...(current.binCounts ?? [])]];
  }
  const of = new Map(reference.categories);
  const now = new Map(countCategories(data.values));
  const keys = [...new Set([...of.keys(), ...now.keys()])];
  const rest = reference.count - reference.nulls - [...of.values()].reduce((sum, count) => sum + count, 0);
  const known = keys.filter((key) => of.has(key) || rest === 0);
  const other = keys
    .filter((key) => !of.has(key) && rest > 0)
    .reduce((sum, key) => sum + (now.get(key) ?? 0), 0);
  const r = known.map((key) => of.get(key) ?? 0);
  const c = known.map((key) => now.get(key) ?? 0);
  return rest > 0
    ? [
        [...r, rest],
        [...c, other],
      ]
    : [r, c];
}

function verdict(m: Measured, threshold: number): ColumnVerdict {
  const { isTest } = methodTable[m.method];
  const value = isTest ? (m.pValue ?? 1) : m.statistic;
  const drifted = isTest ? value <= threshold : value >= threshold;
  const comparison = isTest ? (drifted ? '<=' : '>') : drifted ? '>=' : '<';
  const name = isTest ? `${m.method} p` : m.method;
  const change = `${middle(m.reference)} → ${middle(m.current)}`;
  const reason = `${m.reference.column}: ${name} ${short(value)} ${comparison} ${short(threshold)}, ${change}`;
  const { sample: _, ...reference } = m.reference;
  return {
    column: m.reference.column,
    method: m.method,
    statistic: m.statistic,
    ...(m.pValue === undefined ? {} : { pValue: m.pValue }),
    threshold,
    drifted,
    reason,
    current: m.current,
    reference,
  };
}

function middle(profile: ColumnProfile): string {
  if (profile.mean !== undefined) return `mean ${short(profile.mean)}`;
  const [top] = profile.categories ?? [];
  return top
    ? `most frequent ${JSON.stringify(top[0])} ${short(top[1] / (profile.count - profile.nulls))}`
    : 'no values';
}

/** Four significant digits. */
export function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}
