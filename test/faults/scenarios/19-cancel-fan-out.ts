import { setTimeout as sleep } from 'node:timers/promises';
import {
  AttemptState,
  PipelineRunState,
  PipelineRunStateSchema,
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
  shell,
  startWorkshop,
  tasksOf,
  wordOf,
} from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';

const items = 200;
const graceMs = 1000;

/** Steps with a child each: a third ends when asked, a third answers that with success, a third does not listen. */
const answers = ['trap "exit 1" TERM', 'trap "exit 0" TERM', 'trap "" TERM'];

/** Cancels a fan-out while its steps start; `child` is how a step starts a child of its own. */
async function cancelFanOut(chance: Chance, child: string): Promise<Outcome> {
  await using at = await startWorkshop();
  const { millrace } = at;
  const script = [
    `case $(($ITEM % 3)) in 0) ${answers[0]};; 1) ${answers[1]};; 2) ${answers[2]};; esac`,
    `${child} sleep 600 & echo "$$ $!" >> $MARKS/pids`,
    'while :; do wait; done',
  ].join('\n');
  const values = Array.from({ length: items }, (_, value) => ({
    kind: { case: 'numberValue' as const, value },
  }));
  const step = shell(at, 'item', script, {
    env: { ITEM: '${item}' },
    forEach: { source: { case: 'items', value: { values } } },
    command: { stopGrace: { seconds: 1n } },
  });
  const name = await launch(millrace, 'fan-out', { steps: [step], maxParallel: items });

  const wanted = chance.between(items / 2, items);
  await until(() => linesOf(at, 'pids').length >= wanted, { timeoutMs: 40_000, what: 'the steps' });
  await millrace.pipelineRuns.cancelPipelineRun({ name });
  const cancelledMs = performance.now();
  const left = () => pidsOf(linesOf(at, 'pids')).filter(isRunning);
  const run = await finished(millrace, name);
  while (left().length > 0 && performance.now() - cancelledMs < graceMs + 2000) await sleep(20);
  const orphans = left();

  const breaches: string[] = [];
  if (orphans.length > 0)
    breaches.push(`${orphans.length} processes run on ${graceMs + 2000} ms after the cancellation`);
  if (run.state !== PipelineRunState.CANCELLED)
    breaches.push(`the run is ${wordOf(PipelineRunStateSchema, run.state)}`);
  const tasks = await tasksOf(millrace, name);
  const stateless = tasks.filter((task) => task.state !== TaskState.CANCELLED);
  for (const task of stateless.slice(0, 3))
    breaches.push(`${keyOf(task)} was stopped and is ${wordOf(TaskStateSchema, task.state)}`);
  const open = tasks.filter((task) => attemptsIn(task, AttemptState.RUNNING) > 0).length;
  if (open > 0) breaches.push(`${open} attempts are RUNNING in a cancelled run`);
  for (const pid of orphans) process.kill(pid, 'SIGKILL');
  return { checked: linesOf(at, 'pids').length, lost: 0, doubled: 0, breaches };
}

const pidsOf = (lines: readonly string[]) => lines.flatMap((line) => line.split(' ').map(Number));

export const scenario: Scenario = {
  number: 19,
  name: 'a fan-out of 200 is cancelled while its steps start',
  invariant: 'no process is left after the grace and 2 s; the run and its tasks stay CANCELLED',
  missing: async () => (process.platform === 'linux' ? undefined : 'it reads /proc'),
  run: (chance) => cancelFanOut(chance, ''),
  // A child that leaves its process group is what no supervisor can stop by the group.
  control: (chance) => cancelFanOut(chance, 'setsid'),
};
