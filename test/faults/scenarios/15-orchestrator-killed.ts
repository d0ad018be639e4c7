import { setTimeout as sleep } from 'node:timers/promises';
import { fromJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { OutputKind, TaskState } from '@millrace/contracts/pipelines';
import { type Race, startService, until } from '@millrace/testing';
import { diedEarly } from '../died-early.ts';
import {
  finished,
  isOver,
  keyOf,
  launch,
  linesOf,
  shell,
  startWorkshop,
  supervisorOf,
  tasksOf,
  type Workshop,
} from '../pipelines.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated, together } from '../tally.ts';

const steps = 30;
/** A machine may be so slow in starting an orchestrator that a graph has few lives. */
const mostGraphs = 8;
const points = [
  'orchestrator.before-claim',
  'orchestrator.after-claim',
  'orchestrator.after-spawn',
  'orchestrator.before-outcome',
  'orchestrator.after-outcome',
  'orchestrator.after-adoption',
  'documents.before-commit',
  'documents.after-commit',
  'relay.after-publish',
];

/** Starts a graph in which every step computes a number from those of two earlier ones, and notes that it was started. */
function launchGraph(at: Workshop, chance: Chance): Promise<string> {
  const graph = Array.from({ length: steps }, (_, i) => {
    const dependsOn = upstreams(i).map((upstream) => `s${upstream}`);
    const script = [
      'echo "$MILLRACE_TASK $MILLRACE_RUN $MILLRACE_ATTEMPT $$" >> $MARKS/starts',
      `sleep 0.${chance.between(1, 4)}`,
      `echo $(((31 * ($A + $B) + ${i}) % 10007)) > $MILLRACE_OUTPUTS/y`,
    ].join('\n');
    const [A = '1', B = '1'] = dependsOn.map((upstream) => `\${steps.${upstream}.outputs.y}`);
    const command = { outputs: [{ name: 'y', kind: OutputKind.TEXT }] };
    return shell(at, `s${i}`, script, { dependsOn, command, env: { A, B } });
  });
  return launch(at.millrace, 'graph', { steps: graph });
}

const upstreams = (i: number) => (i < 3 ? [] : [i - 3, i - 2]);

function expected(): number[] {
  const values: number[] = [];
  for (let i = 0; i < steps; i++) {
    const [a = 1, b = 1] = upstreams(i).map((upstream) => values[upstream]!);
    values.push((31 * (a + b) + i) % 10007);
  }
  return values;
}

/** A life of the orchestrator that ends at a race point, at the latest when the run is over. Tells whether it came to the point. */
async function liveUntil(at: Workshop, race: Race, name: string): Promise<boolean> {
  const port = Number(at.service.address.split(':')[1]);
  const options = { env: at.settings, dataDir: at.service.dataDir, port, race };
  const service = await startService('orchestrator', options).catch(diedEarly);
  if (!service) return true;
  let reached = false;
  const dying = service.reached.then(() => {
    reached = true;
  });
  const ended = until(async () => reached || (await isOver(at.millrace, name)), { timeoutMs: 60_000 });
  await Promise.race([dying, ended]).finally(() => service.kill9());
  return reached;
}

/** Starts a graph, and kills the orchestrator soon afterwards. */
async function launchUntilKilled(at: Workshop, chance: Chance): Promise<string> {
  const name = await launchGraph(at, chance);
  await sleep(chance.between(50, 400));
  await at.service.kill9();
  return name;
}

async function check(at: Workshop, name: string): Promise<Outcome> {
  await finished(at.millrace, name);
  const tasks = await tasksOf(at.millrace, name);
  const values = expected();
  const lost = tasks.filter((task) => {
    const [output] = task.outputs;
    const value = output?.kind.case === 'value' ? output.kind.value : undefined;
    const wanted = fromJson(ValueSchema, String(values[Number(keyOf(task).slice(1))]));
    return task.state !== TaskState.SUCCEEDED || JSON.stringify(value) !== JSON.stringify(wanted);
  });
  const starts = linesOf(at, 'starts').flatMap((line) => {
    const [task, run] = line.split(' ');
    return run === keyOf({ name }) ? [task] : [];
  });
  const doubled = starts.length - new Set(starts).size;
  const breaches = tasks.length === steps ? [] : [`there are ${tasks.length} tasks, not ${steps}`];
  return { checked: tasks.length, lost: lost.length, doubled, breaches };
}

export const scenario: Scenario = {
  number: 15,
  name: 'kill -9 of the orchestrator at each of its race points in a graph of 30 steps',
  invariant: 'every step is started once, the run completes, all outputs are right',
  limitMs: 240_000,
  async run(chance) {
    await using at = await startWorkshop();
    const graphs = [await launchUntilKilled(at, chance)];
    for (const point of [...points].sort(() => chance.random() - 0.5)) {
      // A run that was over before the point came was not broken in its middle: then there is another one.
      for (;;) {
        const race = { point, nth: nthOf(point, chance), signal: 'kill' } as const;
        if (await liveUntil(at, race, graphs.at(-1)!)) break;
        if (graphs.length === mostGraphs) throw new Error(`${point} was not reached in ${mostGraphs} graphs`);
        await at.service.restart();
        // Answered, so the client is connected again.
        await finished(at.millrace, graphs.at(-1)!);
        graphs.push(await launchUntilKilled(at, chance));
      }
    }
    await at.service.restart();
    const outcomes: Outcome[] = [];
    for (const name of graphs) outcomes.push(await check(at, name));
    return together(outcomes);
  },
  // The parent of all steps is what lets them go on: without it they are begun again.
  control: (chance) => repeated(3, () => orphanSteps(chance)),
};

async function orphanSteps(chance: Chance): Promise<Outcome> {
  await using at = await startWorkshop();
  const name = await launchGraph(at, chance);
  // The newest one: earlier ones may have ended, and tell of no parent.
  const newest = () => linesOf(at, 'starts').at(-1)?.split(' ')[3];
  const supervisor = await until(() => linesOf(at, 'starts').length > 2 && supervisorOf(Number(newest())));
  process.kill(supervisor, 'SIGKILL');
  await at.service.kill9();
  await at.service.restart();
  return await check(at, name);
}

/** Commits are many, and the first ones are the leases'. */
const nthOf = (point: string, chance: Chance) =>
  point.startsWith('documents') ? chance.between(4, 12) : chance.between(1, 2);
