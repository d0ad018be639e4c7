import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { durationFromMs, type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { TaskState, TaskStateSchema } from '@millrace/contracts/pipelines';
import { tempDir, until } from '@millrace/testing';
import { finished, keyOf, launch, linesOf, shell, startWorkshop, tasksOf, wordOf } from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { clockEnv, shiftClock } from '../shifted-clock.ts';

const hourMs = 3_600_000;
const chains = 3;
const length = 6;

/** Steps of a fraction of a second that may take half an hour, some of which fail once; meanwhile the clock jumps. */
async function jump(chance: Chance, jumpsMs: readonly number[], timeoutMs: number): Promise<Outcome> {
  await using folder = tempDir();
  const clock = join(folder.path, 'clock');
  await shiftClock(clock, 0);
  await using at = await startWorkshop({ ...clockEnv(clock), LEASE_MS: '2000', SCAN_MS: '200' });
  const steps = Array.from({ length: chains * length }, (_, i) => {
    const fails = i % 4 === 1 ? '[ $MILLRACE_ATTEMPT -gt 1 ] || exit 1' : '';
    const script = `echo "$MILLRACE_TASK $MILLRACE_ATTEMPT" >> $MARKS/starts; sleep 0.${chance.between(3, 6)}; ${fails}`;
    const retry = { maxAttempts: 2, initialBackoff: { nanos: 3e8 } };
    const dependsOn = i < chains ? [] : [`s${i - chains}`];
    return shell(at, `s${i}`, script, { dependsOn, retry, timeout: durationFromMs(timeoutMs) });
  });
  const name = await launch(at.millrace, 'graph', { steps });
  for (const [i, byMs] of jumpsMs.entries()) {
    await until(() => linesOf(at, 'starts').length >= 3 + 4 * i, { what: 'steps' });
    await sleep(chance.between(0, 400));
    await shiftClock(clock, byMs);
  }
  const run = await finished(at.millrace, name);
  const tasks = await tasksOf(at.millrace, name);
  const breaches: string[] = [];
  const unsound = tasks.filter((task) => task.state !== TaskState.SUCCEEDED);
  for (const task of unsound) breaches.push(`${keyOf(task)} is ${wordOf(TaskStateSchema, task.state)}`);
  for (const span of [run, ...tasks, ...tasks.flatMap((task) => task.attempts)])
    if (lasted(span) < 0) breaches.push(`something lasted ${lasted(span)} ms`);
  for (const task of tasks) {
    const wanted = Number(keyOf(task).slice(1)) % 4 === 1 ? 2 : 1;
    if (task.attempts.length !== wanted)
      breaches.push(`${keyOf(task)} was tried ${task.attempts.length} times: ${task.attempts[0]?.reason}`);
  }
  const starts = linesOf(at, 'starts');
  const doubled = starts.length - new Set(starts).size;
  return { checked: tasks.length, lost: unsound.length, doubled, breaches };
}

const lasted = ({
  startTime,
  endTime,
}: {
  startTime?: Timestamp | undefined;
  endTime?: Timestamp | undefined;
}) => (startTime && endTime ? timestampMs(endTime) - timestampMs(startTime) : 0);

export const scenario: Scenario = {
  number: 22,
  name: 'the clock of an orchestrator jumps by an hour, forwards and back, in the middle of a run',
  invariant: 'no step times out, waits or is done again for it; nothing lasts less than no time',
  run: (chance) => jump(chance, [hourMs, 0, -hourMs], hourMs / 2),
  // Steps that take longer than they may are timed out, whatever the clock says.
  control: (chance) => jump(chance, [], 200),
};
