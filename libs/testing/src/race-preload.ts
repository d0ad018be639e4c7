/**
 * Loaded before a service's own code when a test names a race point (`node --import`). At the n-th time the service
 * comes by that point, the process says so on standard error and is killed, or frozen, right there: nothing of it runs
 * on, not even what was already begun on other threads of its event loop.
 *
 * Race points are channels of node:diagnostics_channel. Nobody listens to them outside of tests.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { type Race, raceVariable, reachedLine } from './race.ts';

const race = JSON.parse(process.env[raceVariable] ?? 'null') as Race | null;
if (race) {
  let left = race.nth ?? 1;
  subscribe(`millrace:${race.point}`, () => {
    left -= 1;
    if (left !== 0) return;
    writeSync(2, `${reachedLine(race)}\n`);
    process.kill(process.pid, race.signal === 'stop' ? 'SIGSTOP' : 'SIGKILL');
    // A signal to oneself may arrive a moment later; the code behind the point must not see that moment.
    if (race.signal !== 'stop') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
}
