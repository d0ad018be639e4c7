/**
 * One call on a register whose moves are numbered: what the caller saw, and between which two moments. A move made this
 * revision, a read saw it, a conflict was told that the register is not at it.
 */
export interface Call {
  readonly kind: 'move' | 'read' | 'conflict';
  readonly revision: number;
  /** Milliseconds by one clock: when it was begun, and when its answer came. */
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Whether a history is linearizable: each call took effect at one moment between its beginning and its answer, in the
 * order of the revisions. As the order of the moves is known, giving each the earliest moment it can have decides it.
 * Answers what cannot be, in words. Moves of revision 1 and those nobody saw need not be among the calls.
 */
export function notLinearizable(calls: readonly Call[]): string[] {
  const wrong: string[] = [];
  const revisions = Map.groupBy(
    calls.filter(({ kind }) => kind !== 'conflict'),
    ({ revision }) => revision,
  );
  const order = [...revisions.keys()].sort((a, b) => a - b);
  /** The earliest moment of each move, and the latest. */
  const earliest = new Map<number, number>();
  const latest = new Map<number, number>();
  let clock = Number.NEGATIVE_INFINITY;
  for (const revision of order) {
    const seen = revisions.get(revision)!;
    const moves = seen.filter(({ kind }) => kind === 'move');
    if (moves.length > 1) wrong.push(`${moves.length} calls were told that they made revision ${revision}`);
    clock = moves.reduce((at, { fromMs }) => Math.max(at, fromMs), clock);
    earliest.set(revision, clock);
    for (const { kind, toMs } of seen)
      if (toMs < clock) wrong.push(`a ${kind} of revision ${revision} ended before ${revision} could be`);
    clock = seen.reduce((at, { fromMs }) => Math.max(at, fromMs), clock);
  }
  clock = Number.POSITIVE_INFINITY;
  for (const revision of order.toReversed()) {
    for (const { toMs } of revisions.get(revision)!) clock = Math.min(clock, toMs);
    latest.set(revision, clock);
  }
  for (const { kind, revision, fromMs, toMs } of calls) {
    if (kind !== 'conflict') continue;
    const next = order.find((other) => other > revision);
    const heldBefore = (latest.get(revision) ?? Number.POSITIVE_INFINITY) < fromMs;
    const heldAfter = next === undefined || (earliest.get(next) ?? 0) > toMs;
    if (heldBefore && heldAfter) wrong.push(`a call was refused at revision ${revision} while it was there`);
  }
  return wrong;
}
