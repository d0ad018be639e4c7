import type { Versioned } from '@millrace/documents';
import type { Point } from '../domain/metric.ts';
import type { Run } from '../domain/run.ts';

/** A metric's latest point: key, value, step (text where a number would not be exact), time. */
type Row = readonly [key: string, value: number, step: number | string, timestampMs: number];

/**
 * A run as its document holds it. Points are short rows without bigints, which stores read and write several times
 * faster; searches read a great many runs.
 */
export interface StoredRun extends Omit<Run, 'metrics'> {
  readonly metrics: readonly Row[];
}

export function pack(run: Run): StoredRun {
  return { ...run, metrics: run.metrics.map(packPoint) };
}

export function unpack(found: Versioned<StoredRun>): Versioned<Run> {
  return { ...found, doc: unpackRun(found.doc) };
}

export function unpackRun(stored: StoredRun): Run {
  return { ...stored, metrics: stored.metrics.map(unpackPoint) };
}

function packPoint({ key, value, step, timestampMs }: Point): Row {
  const exact = Number(step);
  return [key, value, Number.isSafeInteger(exact) ? exact : String(step), timestampMs];
}

function unpackPoint([key, value, step, timestampMs]: Row): Point {
  return { key, value, step: BigInt(step), timestampMs };
}
