import type { Expected, Monitor } from './monitor.ts';
import { isClosed } from './window.ts';

/** How many windows in a row without rows are reported. */
const mostEmpty = 100;

/**
 * The moment event time has come to: the newest row's, and from when no row came any more on at the pace of the clock.
 * Where no row ever came, the clock's.
 */
export function eventNow({ watermarkMs, takenMs }: Monitor, nowMs: number): number {
  if (!Number.isFinite(watermarkMs)) return nowMs;
  return watermarkMs + Math.max(0, nowMs - (takenMs ?? nowMs));
}

/** Whether a window is over: by its rows, or because none came for so long. */
export function isOver(monitor: Monitor, startMs: number, nowMs: number): boolean {
  const { window } = monitor.spec;
  if (isClosed(startMs, monitor.watermarkMs, window)) return true;
  return window.idleMs !== undefined && isClosed(startMs, eventNow(monitor, nowMs) - window.idleMs, window);
}

/** The next window without rows that is to be reported before one that has some; undefined when there is none. */
export function emptyBefore(monitor: Monitor, startMs: number): number | undefined {
  const { expected } = monitor;
  if (monitor.spec.window.idleMs === undefined || monitor.spec.paused || !expected) return undefined;
  return expected.startMs < startMs && expected.empty < mostEmpty ? expected.startMs : undefined;
}

/** What is expected after a window was judged. */
export function expectAfter(monitor: Monitor, startMs: number, isEmpty: boolean): Expected {
  const { expected } = monitor;
  const next = startMs + monitor.spec.window.lengthMs;
  if (isEmpty) return { startMs: next, empty: (expected?.empty ?? 0) + 1 };
  return { startMs: Math.max(next, expected?.startMs ?? next), empty: 0 };
}
