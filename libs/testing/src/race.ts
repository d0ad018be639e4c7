/** A named point in a service at which a test ends or freezes it. */
export interface Race {
  /** Without the prefix `millrace:`, as in `relay.before-publish`; the README lists those there are. */
  readonly point: string;
  /** At which time of coming by. @default 1 */
  readonly nth?: number;
  /** SIGKILL or SIGSTOP. */
  readonly signal: 'kill' | 'stop';
}

/** The environment variable that carries a race to the process. */
export const raceVariable = 'MILLRACE_TEST_RACE';

/** What a process says when it has come to its point. */
export const reachedLine = ({ point, signal }: Race) => `race point ${point} reached: ${signal}`;
