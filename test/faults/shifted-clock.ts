import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Loaded before a service's own code (`NODE_OPTIONS=--import`): moves its wall clock by as many milliseconds as stand in a
 * file, from the moment they stand there. Clocks that never jump, as timers and leases use them, go on as they are.
 */
const variable = 'MILLRACE_TEST_CLOCK';

/** The environment of a service whose clock follows this file. */
export const clockEnv = (file: string) => ({
  NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import ${import.meta.url}`,
  [variable]: file,
});

/** How often a service looks at the file, in milliseconds. */
const lookMs = 5;

/**
 * Moves the clock of the services that follow this file; settles when they all have looked. A call that begins before and
 * is served afterwards would be too late by its own deadline.
 */
export async function shiftClock(file: string, byMs: number): Promise<void> {
  // Whoever reads meanwhile reads the one or the other, never an empty file.
  writeFileSync(`${file}.next`, String(byMs));
  renameSync(`${file}.next`, file);
  await sleep(4 * lookMs);
}

const followed = process.env[variable];
if (followed) {
  const real = Date;
  let byMs = 0;
  let readMs = Number.NEGATIVE_INFINITY;
  const now = () => {
    if (performance.now() - readMs > lookMs) {
      readMs = performance.now();
      byMs = Number(readFileSync(followed, 'utf8'));
    }
    return real.now() + byMs;
  };
  globalThis.Date = new Proxy(real, {
    construct: (target, args, self) =>
      Reflect.construct(target, args.length > 0 ? args : [now()], self) as Date,
    apply: () => new real(now()).toString(),
    get: (target, key) => (key === 'now' ? now : (Reflect.get(target, key) as unknown)),
  });
}
