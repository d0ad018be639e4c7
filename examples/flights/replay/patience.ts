import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@millrace/errors';

/** How long a service may be away, in milliseconds. */
const patienceMs = 90_000;

/**
 * Does a call until it is answered: a service that is away comes back, and calls that carry an id are not done twice.
 * Errors that waiting does not heal are thrown at once. `onFailure` is told of each attempt that failed.
 */
export async function insist<T>(
  call: () => Promise<T>,
  onFailure: (error: unknown) => void = () => {},
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1000)) {
    try {
      return await call();
    } catch (error) {
      onFailure(error);
      if (!isTransient(error) || Date.now() > end) throw error;
      await sleep(waitMs);
    }
  }
}

/** Asks again until there is an answer that is not undefined. Throws after so long, naming what was waited for. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs = 300_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await insist(probe);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what} did not come in ${timeoutMs / 1000} s`);
    await sleep(100);
  }
}

function isTransient(error: unknown): boolean {
  const kinds = ['unavailable', 'deadline_exceeded', 'cancelled', 'resource_exhausted', 'aborted'] as const;
  return kinds.some((kind) => isCoded(error, kind));
}
