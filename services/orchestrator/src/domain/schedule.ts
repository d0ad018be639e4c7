import type { Parameter } from './parameters.ts';

export type CatchUp = 'none' | 'last' | 'all';
export type Overlap = 'skip' | 'buffer_one' | 'allow' | 'cancel_other';

export interface Schedule {
  readonly project: string;
  readonly name: string;
  readonly pipeline: string;
  readonly cron: string;
  /** IANA; `UTC` where none was given. */
  readonly timeZone: string;
  readonly parameters: readonly Parameter[];
  /** The parameter that gets the logical time; empty means none. */
  readonly timeParameter: string;
  readonly catchUp: CatchUp;
  readonly maxCatchUp: number;
  readonly overlap: Overlap;
  readonly paused: boolean;
  /** Times up to this one are decided. */
  readonly decidedUpToMs: number;
  /** The next time, null while it rests or when none comes. */
  readonly nextAtMs: number | null;
  /** The time that waits for an earlier run's end. */
  readonly bufferedMs?: number;
  /** Times whose runs are decided upon and not told of yet, oldest first. */
  readonly starting?: readonly Starting[];
  readonly lastTimeMs?: number;
  readonly lastRun?: string;
  readonly lastReason: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A time that gets its run. */
export interface Starting {
  readonly timeMs: number;
  readonly reason: string;
  /** Runs of earlier times are cancelled first. */
  readonly cancelOthers: boolean;
}

/** How late a time may be noticed and still count as on time, in milliseconds. */
const onTimeMs = 10_000;

/** The times of a schedule that are due, and what the catch-up rule makes of them; oldest first. */
export function dueTimes(
  schedule: Pick<Schedule, 'catchUp' | 'maxCatchUp' | 'decidedUpToMs'>,
  next: (afterMs: number) => number | undefined,
  nowMs: number,
): readonly { readonly timeMs: number; readonly leftOut?: string }[] {
  const due: number[] = [];
  // Only the newest are looked at more closely; a schedule of every second may have missed a year of them.
  const keep = Math.max(schedule.maxCatchUp, 1) + 1;
  let passed = 0;
  for (let at = next(schedule.decidedUpToMs); at !== undefined && at <= nowMs; at = next(at)) {
    due.push(at);
    passed += 1;
    if (due.length > keep) due.shift();
    if (passed >= 100_000) break;
  }
  return due.map((timeMs, i) => {
    const behind = due.length - 1 - i;
    const late = nowMs - timeMs > onTimeMs;
    if (schedule.catchUp === 'none' && late)
      return { timeMs, leftOut: 'it passed unnoticed, and catch-up is NONE' };
    if (schedule.catchUp === 'last' && behind > 0)
      return { timeMs, leftOut: 'it passed unnoticed, and catch-up is LAST' };
    if (schedule.catchUp === 'all' && behind >= schedule.maxCatchUp)
      return { timeMs, leftOut: `more than ${schedule.maxCatchUp} times passed unnoticed` };
    return { timeMs };
  });
}

/** What is done about a time while `open` earlier runs are not terminal. */
export function decideOverlap(
  overlap: Overlap,
  open: number,
  buffered: boolean,
): { readonly do: 'run' | 'leave_out' | 'buffer' | 'cancel_and_run'; readonly reason: string } {
  if (open === 0) return { do: 'run', reason: 'the time came' };
  const running = `${open} earlier ${open === 1 ? 'run is' : 'runs are'} not terminal`;
  switch (overlap) {
    case 'allow':
      return { do: 'run', reason: `the time came; ${running}, which is allowed` };
    case 'skip':
      return { do: 'leave_out', reason: `${running}, and overlap is SKIP` };
    case 'buffer_one':
      return buffered
        ? { do: 'leave_out', reason: `${running}, and another time waits already` }
        : { do: 'buffer', reason: `${running}; the time waits for its end` };
    case 'cancel_other':
      return { do: 'cancel_and_run', reason: `the time came; ${running} and was cancelled` };
  }
}

/** What is decided about a schedule's times at a moment. */
export interface Decided {
  readonly starting: readonly Starting[];
  readonly leftOut: readonly { readonly timeMs: number; readonly reason: string }[];
  readonly bufferedMs?: number;
  /** Up to when times are decided now. */
  readonly upToMs: number;
}

/** Decides about all times that came, while `open` earlier runs are not terminal; undefined when none did. Pure. */
export function decideTimes(
  schedule: Schedule,
  next: (afterMs: number) => number | undefined,
  open: number,
  nowMs: number,
): Decided | undefined {
  const due = schedule.paused ? [] : dueTimes(schedule, next, nowMs);
  const waiting = schedule.bufferedMs;
  const starting: Starting[] = [];
  const leftOut: { timeMs: number; reason: string }[] = [];
  let running = open;
  let bufferedMs = waiting;
  for (const time of [...(waiting === undefined ? [] : [{ timeMs: waiting, leftOut: undefined }]), ...due]) {
    const { timeMs } = time;
    if (time.leftOut !== undefined) {
      leftOut.push({ timeMs, reason: time.leftOut });
      continue;
    }
    const verdict = decideOverlap(
      schedule.overlap,
      running,
      bufferedMs !== undefined && bufferedMs !== timeMs,
    );
    const { reason } = verdict;
    if (verdict.do === 'buffer') {
      bufferedMs = timeMs;
      continue;
    }
    // It waits no longer; left out it is where the overlap rule is another one by now.
    if (bufferedMs === timeMs) bufferedMs = undefined;
    if (verdict.do === 'leave_out') leftOut.push({ timeMs, reason });
    else {
      const cancelOthers = verdict.do === 'cancel_and_run';
      starting.push({ timeMs, reason, cancelOthers });
      running = cancelOthers ? 1 : running + 1;
    }
  }
  if (due.length === 0 && starting.length === 0 && leftOut.length === 0) return undefined;
  const upToMs = due.length > 0 ? nowMs : schedule.decidedUpToMs;
  return { starting, leftOut, upToMs, ...(bufferedMs === undefined ? {} : { bufferedMs }) };
}
