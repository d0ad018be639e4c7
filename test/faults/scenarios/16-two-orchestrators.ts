import { setTimeout as sleep } from 'node:timers/promises';
import { AttemptState } from '@millrace/contracts/pipelines';
import { type TestService, tempDir, until } from '@millrace/testing';
import {
  attemptsIn,
  endsOf,
  finished,
  isOver,
  keyOf,
  launch,
  linesOf,
  shell,
  startReplica,
  startWorkshop,
  tasksOf,
} from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { isLocked } from '../store-file.ts';
import { tally, untilMet } from '../tally.ts';

const steps = 24;
const leaseMs = 1000;
const freezes = 3;

let ends: readonly string[] = [];

/** Two replicas on one store, each with processes of its own; now the one, now the other freezes until the other one has its run. */
async function freezeInTurn(chance: Chance): Promise<Outcome> {
  await using blobs = tempDir();
  const env = { LEASE_MS: String(leaseMs), SCAN_MS: '200', SHARDS: '2', BLOBS_URL: `file:${blobs.path}` };
  await using at = await startWorkshop(env);
  await using folder = tempDir();
  await using other = await startReplica(at, folder.path);
  const graph = Array.from({ length: steps }, (_, i) => {
    const note = 'echo "$MILLRACE_TASK $MILLRACE_ATTEMPT $MILLRACE_OUTPUTS" >> $MARKS/starts';
    const script = `${note}; sleep 0.${chance.between(1, 9)}`;
    return shell(at, `s${i}`, script, { dependsOn: i < 4 ? [] : [`s${i - 4}`, `s${i - 3}`] });
  });
  const name = await launch(at.millrace, 'graph', { steps: graph });
  const replicas = [at, other];
  let takeovers = 0;
  for (let i = 0; i < freezes; i++) {
    await sleep(chance.between(100, 600));
    const [frozen, awake] = [replicas[i % 2]!, replicas[(i + 1) % 2]!];
    // What a replica starts lies in its folder.
    const started = () =>
      linesOf(at, 'starts').filter((line) => line.includes(` ${awake.service.dataDir}/`)).length;
    const before = started();
    await freeze(frozen.service, at.service);
    await sleep(leaseMs + chance.between(500, 1000));
    await until(async () => started() > before || (await isOver(awake.millrace, name)), {
      timeoutMs: 40_000,
      what: 'the other one going on',
    });
    if (started() > before) takeovers++;
    frozen.service.resume();
  }
  await finished(at.millrace, name);
  const tasks = await tasksOf(at.millrace, name);
  ends = await endsOf(at.millrace, AttemptState.SUCCEEDED);
  const { breaches, ...counts } = tally(tasks.map(keyOf), ends);
  const problems = [...breaches];
  const starts = linesOf(at, 'starts').map((line) => line.split(' ').slice(0, 2).join(' '));
  if (new Set(starts).size < starts.length) problems.push('an attempt was started twice');
  const double = tasks.filter((task) => attemptsIn(task, AttemptState.SUCCEEDED) !== 1);
  for (const task of double) problems.push(`${keyOf(task)} has not one SUCCEEDED attempt`);
  const missed = takeovers === 0 ? 'nothing was taken over' : undefined;
  return { ...counts, breaches: problems, missed };
}

/** Freezes a replica, but not in the middle of a write: it would keep the store's file locked, and nobody could take over. */
async function freeze(replica: TestService, store: TestService): Promise<void> {
  const isFrozen = async () => {
    replica.pause();
    await sleep(50);
    if (!isLocked(store)) return true;
    replica.resume();
    return false;
  };
  await until(isFrozen, { what: 'a freeze between two writes', timeoutMs: 30_000 });
}

export const scenario: Scenario = {
  number: 16,
  name: 'two orchestrators on one store freeze in turn for longer than their lease',
  invariant: 'the old holder is refused by the fence: one SUCCEEDED attempt for each step',
  run: (chance) => untilMet(3, () => freezeInTurn(chance)),
  // The record as a holder without a fence would have left it: it says the ends again that it saw.
  control: async () => tally(new Set(ends), [...ends, ...ends.slice(0, 3)]),
};
