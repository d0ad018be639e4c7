import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until `probe` gives something that is not undefined, null or false, and returns it. Errors of the probe count
 * as "not yet". Throws after `timeoutMs`, with what the probe said last.
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number; readonly what?: string } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const { timeoutMs = 15_000, everyMs = 25, what = 'a condition' } = options;
  const end = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false)
        return value as Exclude<T, undefined | null | false>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`${what} did not come true within ${timeoutMs} ms; last: ${String(last)}`, {
        cause: last,
      });
    await sleep(everyMs);
  }
}
