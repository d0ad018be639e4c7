/** Tumbling windows over event time, all in milliseconds. */
export interface WindowRule {
  readonly lengthMs: number;
  readonly offsetMs: number;
  readonly latenessMs: number;
}

/** The start of the window a moment falls in. */
export function windowStart(timeMs: number, rule: WindowRule): number {
  return Math.floor((timeMs - rule.offsetMs) / rule.lengthMs) * rule.lengthMs + rule.offsetMs;
}

/** The start of the first window that begins after a moment. */
export function nextWindow(timeMs: number, rule: WindowRule): number {
  return windowStart(timeMs, rule) + rule.lengthMs;
}

/** 0001-01-01T00:00:00Z: timestamps begin here. */
const earliestMs = -62_135_596_800_000;
/** Clocks differ; more than this is no clock. */
const aheadMs = 24 * 3_600_000;

/**
 * Whether a row's or a label's time can be true: it is a moment timestamps can tell, and not more than a day after it was
 * logged. One row of the year 2100 would else close every window until then.
 */
export function isPlausible(timeMs: number, loggedMs: number): boolean {
  return timeMs >= earliestMs && timeMs <= loggedMs + aheadMs;
}

/** Whether a window takes no more rows once rows of up to `watermarkMs` were seen. */
export function isClosed(startMs: number, watermarkMs: number, rule: WindowRule): boolean {
  return watermarkMs >= startMs + rule.lengthMs + rule.latenessMs;
}
