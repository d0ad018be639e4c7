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

/** Whether a window takes no more rows once rows of up to `watermarkMs` were seen. */
export function isClosed(startMs: number, watermarkMs: number, rule: WindowRule): boolean {
  return watermarkMs >= startMs + rule.lengthMs + rule.latenessMs;
}
