import type { RetryPolicy } from './spec.ts';

/** How often an attempt may be lost before the task counts as failed; lost attempts do not count as attempts. */
export const maxLost = 3;

/** Whether another attempt follows a failed one. `failures` counts the failed and timed-out attempts so far. */
export function mayRetry(policy: RetryPolicy, failures: number, exitCode: number | undefined): boolean {
  if (failures >= policy.maxAttempts) return false;
  return exitCode === undefined || !policy.nonRetryableExitCodes.includes(exitCode);
}

/** The wait in milliseconds after the `failures`-th failure; `random` is in [0, 1). */
export function backoffMs(policy: RetryPolicy, failures: number, random: number): number {
  const grown = policy.initialBackoffMs * policy.factor ** (failures - 1);
  const wait = Math.min(policy.maxBackoffMs, grown);
  return Math.max(0, Math.round(wait * (1 + policy.jitter * (2 * random - 1))));
}
