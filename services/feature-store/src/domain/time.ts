/** Event times are whole microseconds since 1970 in a number; the range is what a number holds exactly. */
export const maxTimeUs = Number.MAX_SAFE_INTEGER;

export const minuteUs = 60_000_000;
export const hourUs = 60 * minuteUs;
export const dayUs = 24 * hourUs;

/** The greatest multiple of `hop` that is not above `us`. Exact: no division is rounded. */
export function floorTo(us: number, hop: number): number {
  return us - (((us % hop) + hop) % hop);
}

/** The least multiple of `hop` that is not below `us`. */
export function ceilTo(us: number, hop: number): number {
  const below = floorTo(us, hop);
  return below === us ? us : below + hop;
}
