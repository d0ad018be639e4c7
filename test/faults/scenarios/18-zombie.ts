import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBlobs } from '@millrace/blobs';
import { AttemptState, OutputKind, TaskState } from '@millrace/contracts/pipelines';
import { tempDir, until } from '@millrace/testing';
import {
  attemptsIn,
  finished,
  keyOf,
  launch,
  linesOf,
  outputOf,
  shell,
  startReplica,
  startWorkshop,
  tasksOf,
} from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated, untilMet } from '../tally.ts';

const steps = 8;
const leaseMs = 1000;

/** What an attempt writes: it tells which one it was. */
const textOf = (task: string, attempt: number) => `the output of ${task} by attempt ${attempt}\n`;
const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}` as const;

/**
 * An orchestrator freezes right before it claims a step, while others of its steps run on to their end. Another one
 * takes the run over; then the first wakes up, claims, and stores what its steps left. Outputs that are nobody's must be
 * gone after `sweptMs`.
 */
async function wakeLate(chance: Chance, blobGraceMs: number, sweptMs: number): Promise<Outcome> {
  await using shared = await tempDir();
  const url = `file:${shared.path}`;
  const env = {
    LEASE_MS: `${leaseMs}`,
    SCAN_MS: '200',
    SHARDS: '1',
    BLOBS_URL: url,
    BLOB_GRACE_MS: `${blobGraceMs}`,
  };
  // Six run at a time; the next claim is made when one of them has ended.
  const nth = chance.between(7, 8);
  // So little room that the second one has not got to all steps when the first wakes up.
  const race = { point: 'orchestrator.before-claim', nth, signal: 'stop' } as const;
  await using at = await startWorkshop({ ...env, STEP_CPU: '0.6' }, race);
  await using folder = tempDir();
  // The first two end early, which leads to the claim; the others while it is frozen: theirs are the ends that are too late.
  const script = (index: number) => `
    printf 'the output of %s by attempt %s\\n' $MILLRACE_TASK $MILLRACE_ATTEMPT > $MILLRACE_OUTPUTS/y
    [ $MILLRACE_ATTEMPT = 1 ] && sleep ${index < 2 ? 0 : 2}
    sleep 0.${chance.between(3, 6)}
    echo "$MILLRACE_TASK $MILLRACE_ATTEMPT" >> $MARKS/ends`;
  const command = { outputs: [{ name: 'y', kind: OutputKind.ARTIFACT }] };
  const graph = Array.from({ length: steps }, (_, i) => shell(at, `s${i}`, script(i), { command }));
  // It may freeze before it answers.
  const asked = launch(at.millrace, 'graph', { steps: graph }).catch(() => {});
  await at.service.reached;
  await using other = await startReplica(at, folder.path, { STEP_CPU: '0.1' });
  const { parent, pipelineRuns } = other.millrace;
  const { name } = (await pipelineRuns.listPipelineRuns({ parent })).pipelineRuns[0]!;
  await until(async () => attempted(await tasksOf(other.millrace, name)) > 1, {
    what: 'the second one',
    timeoutMs: 40_000,
  });
  await until(() => linesOf(at, 'ends').some((line) => /^s[2-5] 1$/.test(line)), {
    what: 'an end in the freeze',
  });
  at.service.resume();
  await asked;
  const run = await finished(other.millrace, name);
  const tasks = await tasksOf(other.millrace, name);
  // Attempts that came to their end may have stored their output; those that were too late are nobody's.
  await sleep(leaseMs);
  const zombies = linesOf(at, 'ends').filter((line) => {
    const [task, attempt] = line.split(' ');
    const owner = tasks.find((one) => keyOf(one) === task);
    return owner?.attempts[Number(attempt) - 1]?.state !== AttemptState.SUCCEEDED;
  });
  const breaches: string[] = [];
  if (run.reason) breaches.push(run.reason);
  for (const task of tasks) {
    const winner = task.attempts.findIndex(({ state }) => state === AttemptState.SUCCEEDED) + 1;
    if ((await outputOf(other.millrace, task, 'y')) !== textOf(keyOf(task), winner))
      breaches.push(`the output of ${keyOf(task)} is not that of attempt ${winner}`);
  }
  const blobs = await openBlobs({ url: `${url}/pipelines` });
  const left = async () => {
    const found = zombies.map((line) => {
      const [task = '', attempt = ''] = line.split(' ');
      return blobs.stat(digestOf(textOf(task, Number(attempt))));
    });
    return (await Promise.all(found)).filter((info) => info !== undefined).length;
  };
  const end = performance.now() + sweptMs;
  while ((await left()) > 0 && performance.now() < end) await sleep(200);
  if ((await left()) > 0)
    breaches.push(`${await left()} outputs of attempts that were too late stay for ever`);
  return {
    checked: tasks.length + zombies.length,
    lost: tasks.filter((task) => task.state !== TaskState.SUCCEEDED).length,
    doubled: tasks.filter((task) => attemptsIn(task, AttemptState.SUCCEEDED) > 1).length,
    breaches,
    missed: zombies.length === 0 ? 'no attempt ended too late' : undefined,
  };
}

const attempted = (tasks: Awaited<ReturnType<typeof tasksOf>>) =>
  Math.max(0, ...tasks.map((task) => task.attempts.length));

export const scenario: Scenario = {
  number: 18,
  name: 'an orchestrator freezes before a claim and finishes its steps after another took over',
  invariant: 'what is late is refused, its outputs are nobody’s and are removed; the others stay',
  limitMs: 150_000,
  run: (chance) => untilMet(3, () => wakeLate(chance, 2_000, 20_000)),
  // Without the sweep what was refused stays, unless whoever wakes up sees at once that it lost its lease and stores nothing.
  control: (chance) => repeated(6, () => wakeLate(chance, 3_600_000, 3_000)),
};
