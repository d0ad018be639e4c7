import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import {
  AttemptState,
  OutputKind,
  type Task,
  TaskState,
  TaskStateSchema,
} from '@millrace/contracts/pipelines';
import { until } from '@millrace/testing';
import {
  attemptsIn,
  finished,
  isRunning,
  keyOf,
  launch,
  linesOf,
  outputOf,
  shell,
  startWorkshop,
  supervisorOf,
  tasksOf,
  type Workshop,
  wordOf,
} from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { together } from '../tally.ts';

const steps = 12;
const leaseMs = 2000;

/** Begins its output and stays in the middle of it; when the word was given, it does all of its work. */
const script = `
  printf half > $MILLRACE_OUTPUTS/y
  [ -e $MARKS/$MILLRACE_PIPELINE.go ] || {
    echo "$MILLRACE_TASK $MILLRACE_ATTEMPT $$" >> $MARKS/$MILLRACE_PIPELINE
    exec sleep 600
  }
  printf whole > $MILLRACE_OUTPUTS/y`;

/** Steps that are in the middle of their work when a supervisor is killed; with the orchestrator, where `both`. */
async function killed(at: Workshop, chance: Chance, both: boolean): Promise<Outcome> {
  const pipeline = both ? 'both' : 'supervisor';
  const command = { outputs: [{ name: 'y', kind: OutputKind.ARTIFACT }] };
  const name = await launch(at.millrace, pipeline, {
    steps: Array.from({ length: steps }, (_, i) => shell(at, `s${i}`, script, { command })),
  });
  const wanted = chance.between(1, steps);
  await until(() => linesOf(at, pipeline).length >= wanted, { everyMs: 2, timeoutMs: 40_000 });
  writeFileSync(join(at.marks.path, `${pipeline}.go`), '');
  const begun = startsOf(at, pipeline);
  process.kill(supervisorOf(begun[0]!.pid), 'SIGKILL');
  const killedMs = Date.now();
  if (both) {
    await at.service.kill9();
    await at.service.restart();
  }
  const readyMs = both ? Date.now() : killedMs;
  await finished(at.millrace, name);
  const tasks = await tasksOf(at.millrace, name);
  const breaches: string[] = [];
  for (const { key } of begun) {
    const task = tasks.find((one) => keyOf(one) === key)!;
    if (task.attempts[0]?.state !== AttemptState.LOST) breaches.push(`the attempt of ${key} is not LOST`);
    const again = timestampMs(task.attempts[1]?.startTime ?? task.endTime!);
    if (again - readyMs > leaseMs + 1000) breaches.push(`${key} was repeated after ${again - readyMs} ms`);
  }
  for (const task of tasks) {
    const output = await outputOf(at.millrace, task, 'y');
    if (output !== 'whole') breaches.push(`the output of ${keyOf(task)} is ${JSON.stringify(output)}`);
  }
  const left = startsOf(at, pipeline)
    .map(({ pid }) => pid)
    .filter(isRunning);
  if (left.length > 0) breaches.push(`${left.length} processes of lost attempts run on`);
  for (const pid of left) process.kill(pid, 'SIGKILL');
  return { ...tallyOf(tasks), breaches };
}

/** A task is lost when it did not succeed, and doubled when more than one of its attempts did. */
function tallyOf(tasks: readonly Task[]): Outcome {
  const unsound = tasks.filter((task) => task.state !== TaskState.SUCCEEDED);
  return {
    checked: tasks.length,
    lost: unsound.length,
    doubled: tasks.filter((task) => attemptsIn(task, AttemptState.SUCCEEDED) > 1).length,
    breaches: unsound.map((task) => `${keyOf(task)} is ${wordOf(TaskStateSchema, task.state)}`).slice(0, 3),
  };
}

function startsOf(at: Workshop, file: string) {
  return linesOf(at, file).map((line) => {
    const [key = '', attempt = '', pid = ''] = line.split(' ');
    return { key, attempt: Number(attempt), pid: Number(pid) };
  });
}

export const scenario: Scenario = {
  number: 17,
  name: 'kill -9 of the parent of all steps, alone and with the orchestrator',
  invariant: 'attempts are LOST and repeated within the lease and 1 s; half outputs stay unseen',
  missing: async () => (process.platform === 'linux' ? undefined : 'it reads /proc'),
  async run(chance) {
    await using at = await startWorkshop({ LEASE_MS: String(leaseMs) });
    return together([await killed(at, chance, false), await killed(at, chance, true)]);
  },
  // An attempt may be lost three times; the fourth time nobody makes up for it.
  async control() {
    await using at = await startWorkshop({ LEASE_MS: String(leaseMs) });
    const name = await launch(at.millrace, 'again', { steps: [shell(at, 's', script)] });
    for (let attempt = 1; attempt <= 4; attempt++) {
      const next = () => startsOf(at, 'again').find((one) => one.attempt === attempt);
      const start = await until(next, { what: `attempt ${attempt}`, timeoutMs: 30_000 });
      process.kill(supervisorOf(start.pid), 'SIGKILL');
    }
    await finished(at.millrace, name);
    return tallyOf(await tasksOf(at.millrace, name));
  },
};
