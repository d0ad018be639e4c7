import { isTerminalRun, type Run } from '../domain/run.ts';

/** Whose turn it is among the runs of a pipeline that limits how many of them run at once. */
export interface Turns {
  /** Whether a pending run may start beside the others of its pipeline; if so, it counts as started from now on. */
  take(run: Run, others: readonly Run[], most: number): boolean;
  /** The run is not pending any more, or not ours: its state counts, and nothing else. */
  give(run: Run): void;
}

export function createTurns(): Turns {
  /** Runs whose start is being written, or was and its answer was lost. */
  const taken = new Set<string>();
  const idOf = (run: Run) => `${run.project}/${run.id}`;
  return {
    take(run, others, most) {
      if (taken.has(idOf(run))) return true;
      const before = others.filter(
        (other) =>
          !isTerminalRun(other.state) &&
          (other.state !== 'pending' ||
            taken.has(idOf(other)) ||
            other.createdAtMs < run.createdAtMs ||
            (other.createdAtMs === run.createdAtMs && other.id < run.id)),
      );
      if (before.length >= most) return false;
      taken.add(idOf(run));
      return true;
    },
    give(run) {
      taken.delete(idOf(run));
    },
  };
}
