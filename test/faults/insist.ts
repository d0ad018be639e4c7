import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@millrace/errors';

/** How long a caller goes on asking. */
const patienceMs = 120_000;

/** Asks until there is an answer, over kills and restarts. Other errors are answers. */
export async function insist<T>(call: () => Promise<T>): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const away = ['unavailable', 'deadline_exceeded', 'cancelled'].some((kind) => isCoded(error, kind));
      if (!away || Date.now() > end) throw error;
      await sleep(20);
    }
  }
}
