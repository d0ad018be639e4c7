import { isTerminalRun, type Run, type RunOutcome, type RunState, runTransitions } from './run.ts';

export type RunCommand =
  /** Takes a run that waits for its turn over from a holder that may have let it start. */
  | { readonly do: 'adopt' }
  | { readonly do: 'start'; readonly fence: number }
  /** Nothing new starts; what runs is stopped. */
  | {
      readonly do: 'stop';
      readonly to: 'failed' | 'cancelled' | 'timed_out';
      readonly reason: string;
      readonly force: boolean;
    }
  /** All steps are terminal; the exit steps begin. */
  | { readonly do: 'exit'; readonly outcome: RunOutcome; readonly reason: string }
  | { readonly do: 'finish'; readonly outcome: RunOutcome; readonly reason: string };

export interface RunFact {
  readonly fact: 'run_state_changed';
  readonly from: RunState;
  readonly to: RunState;
  readonly reason: string;
}

export type RunDecision =
  | { readonly run: Run; readonly facts: readonly RunFact[] }
  | { readonly refused: string };

/** The state machine of a run. Pure; a refusal tells why nothing changed. */
export function decideRun(run: Run, command: RunCommand, nowMs: number): RunDecision {
  if (isTerminalRun(run.state)) return { refused: `the run is ${run.state}, which is final` };
  switch (command.do) {
    case 'adopt':
      return { run: { ...run, fence: (run.fence ?? 0) + 1 }, facts: [] };
    case 'start':
      if ((run.fence ?? 0) !== command.fence)
        return { refused: `the run is held with fence ${run.fence ?? 0}, not ${command.fence}` };
      return move({ ...run, startedAtMs: nowMs }, 'running', '', nowMs);
    case 'stop': {
      const stop = { to: command.to, reason: command.reason, force: command.force };
      if (run.state === 'stopping' || run.state === 'exiting') {
        // Only a harder stop adds anything: the exit steps are given up too.
        if (!command.force || run.stop?.force) return { refused: `the run is ${run.state}` };
        const outcome = run.outcome && { outcome: { state: command.to, reason: command.reason } };
        return { run: { ...run, stop, ...outcome }, facts: [] };
      }
      return move({ ...run, stop }, 'stopping', command.reason, nowMs);
    }
    case 'exit': {
      const outcome = { state: command.outcome, reason: command.reason };
      return move({ ...run, outcome }, 'exiting', 'the exit steps run', nowMs);
    }
    case 'finish':
      return move(run, command.outcome, command.reason, nowMs);
  }
}

function move(run: Run, to: RunState, reason: string, nowMs: number): RunDecision {
  const from = run.state;
  if (!(runTransitions[from] as readonly RunState[]).includes(to))
    return { refused: `a run that is ${from} cannot become ${to}` };
  // A clock that was set back must not let a run end before it began.
  const ended = isTerminalRun(to) ? { endedAtMs: Math.max(nowMs, run.startedAtMs ?? run.createdAtMs) } : {};
  return {
    run: { ...run, state: to, reason, ...ended },
    facts: [{ fact: 'run_state_changed', from, to, reason }],
  };
}
