import type { Statistic } from './statistics.ts';

/** Figures of one round, by name with unit: `points/s`, `p50 ms`. */
export type Figures = Readonly<Record<string, number>>;

/** What is measured in turn; opened before the first round and closed after the last. */
export interface Sides {
  ours(): Promise<Figures>;
  /** The least that the work could cost, under the same names. */
  floor?(): Promise<Figures>;
  close(): Promise<void>;
}

/** One row of the table. A file in `rows/` exports several as `rows`. */
export interface Row {
  /** Chooses it on the command line: `log-batch`. Rows of one file begin with the same words. */
  readonly name: string;
  /** What is done: "LogBatch, 1,000 points a call, 32 clients". */
  readonly title: string;
  /** What the floor is: "bare SQLite transactions of the same bytes, synchronous=FULL". */
  readonly floor?: string;
  readonly aims: readonly Aim[];
  /** Rounds that count; one more comes first to warm up. @default 5 */
  readonly rounds?: number;
  /** Why an aim is missed, shown where it is: what a profile showed, what stands in the way. */
  readonly explanation?: string;
  open(): Promise<Sides>;
}

/** All rounds of a row together. */
export interface Summary {
  readonly ours: Readonly<Record<string, Statistic>>;
  readonly floor: Readonly<Record<string, Statistic>>;
  /** Ours by the floor, of the same round. */
  readonly ratio: Readonly<Record<string, Statistic>>;
}

/** What a row should reach, judged by medians. */
export interface Aim {
  readonly text: string;
  holds(summary: Summary): boolean;
}

const number = (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 6 });
const medianOf = (found: Statistic | undefined) => found?.median ?? Number.NaN;

export const atLeast = (figure: string, value: number): Aim => ({
  text: `≥ ${number(value)} ${figure}`,
  holds: ({ ours }) => medianOf(ours[figure]) >= value,
});

export const atMost = (figure: string, value: number): Aim => ({
  text: `${figure} ≤ ${number(value)}`,
  holds: ({ ours }) => medianOf(ours[figure]) <= value,
});

/** At least this part of the floor; for figures of which more is better. */
export const atLeastOfFloor = (figure: string, part: number): Aim => ({
  text: `${figure} ≥ ${Math.round(part * 100)} % of the floor`,
  holds: ({ ratio }) => medianOf(ratio[figure]) >= part,
});

/** At most this many times the floor; for figures of which less is better. */
export const atMostTimesFloor = (figure: string, times: number): Aim => ({
  text: `${figure} ≤ ${number(times)} × the floor`,
  holds: ({ ratio }) => medianOf(ratio[figure]) <= times,
});
