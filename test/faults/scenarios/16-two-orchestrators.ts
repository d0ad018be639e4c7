import { setTimeout as sleep } from 'node:timers/promises';
import { AttemptState } from '@millrace/contracts/pipelines';
import { tempDir } from '@millrace/testing';
import {
  attemptsIn,
  endsOf,
  finished,
  keyOf,
  launch,
  linesOf,
  shell,
  startReplica,
  startWorkshop,
  tasksOf,
} from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { tally } from '../tally.ts';

const steps = 24;
const leaseMs = 1000;
const freezes = 3;

let ends: readonly string[] = [];

/** Two replicas on one store, each with processes of its own; now the one, now the other freezes for more than its lease. */
async function freezeInTurn(chance: Chance): Promise<Outcome> {
  await using blobs = tempDir();
  const env = { LEASE_MS: String(leaseMs), SCAN_MS: '200', SHARDS: '2', BLOBS_URL: `file:${blobs.path}` };
  await using at = await startWorkshop(env);
  await using folder = tempDir();
  await using other = await startReplica(at, folder.path);
  const graph = Array.from({ length: steps }, (_, i) => {
    const script = `echo "$MILLRACE_TASK $MILLRACE_ATTEMPT" >> $MARKS/starts; sleep 0.${chance.between(1, 9)}`;
    return shell(at, `s${i}`, script, { dependsOn: i < 4 ? [] : [`s${i - 4}`, `s${i - 3}`] });
  });
  const name = await launch(at.millrace, 'graph', { steps: graph });
  const replicas = [at.service, other.service];
  for (let i = 0; i < freezes; i++) {
    await sleep(chance.between(100, 600));
    const frozen = replicas[i % 2]!;
    frozen.pause();
    await sleep(leaseMs + chance.between(500, 1000));
    frozen.resume();
  }
  await finished(at.millrace, name);
  const tasks = await tasksOf(at.millrace, name);
  ends = await endsOf(at.millrace, AttemptState.SUCCEEDED);
  const { breaches, ...counts } = tally(tasks.map(keyOf), ends);
  const problems = [...breaches];
  const starts = linesOf(at, 'starts');
  if (new Set(starts).size < starts.length) problems.push('an attempt was started twice');
  const double = tasks.filter((task) => attemptsIn(task, AttemptState.SUCCEEDED) !== 1);
  for (const task of double) problems.push(`${keyOf(task)} has not one SUCCEEDED attempt`);
  const hosts = new Set(tasks.flatMap((task) => task.attempts.map(({ host }) => host)));
  if (hosts.size < 2) problems.push('nothing was taken over, so nothing was tested');
  return { ...counts, breaches: problems };
}

export const scenario: Scenario = {
  number: 16,
  name: 'two orchestrators on one store freeze in turn for longer than their lease',
  invariant: 'the old holder is refused by the fence: one SUCCEEDED attempt for each step',
  run: freezeInTurn,
  // The record as a holder without a fence would have left it: it says the ends again that it saw.
  control: async () => tally(new Set(ends), [...ends, ...ends.slice(0, 3)]),
};
