import { randomUUID } from 'node:crypto';
import { createHistogram } from 'node:perf_hooks';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  OutputKind,
  PipelineRunState,
  type PipelineSpecSchema,
  type StepSchema,
  type Task,
} from '@millrace/contracts/pipelines';
import { connect } from '@millrace/sdk';
import { startNats, startService, tempDir } from '@millrace/testing';
import { ask, startChild } from '../floors/child.ts';
import type { Spawned } from '../floors/spawns.ts';
import { latenciesOf } from '../load/latencies.ts';
import { atLeast, atMost, type Row } from '../row.ts';

type StepInit = MessageInitShape<typeof StepSchema>;

const inFlight = 16;
const trivial = ['/bin/true'];
/** Leaves the moment at which it runs, in nanoseconds since 1970, as an output. */
const tellTime = ['/bin/sh', '-c', 'date +%s%N > "$MILLRACE_OUTPUTS/at"'];

/** An orchestrator with its default settings, a client of it, and the floor: bare processes. */
async function startBoth() {
  const nats = await startNats();
  const service = await startService('orchestrator', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
  const endpoints = { services: { pipelines: service.address } };
  const millrace = connect({ endpoints, project: 'default', deadlineMs: 600_000 });
  const folder = tempDir('millrace-bench-');
  const floor = await startChild(new URL('../floors/spawns.ts', import.meta.url), [folder.path]);
  const { pipelines, pipelineRuns, parent } = millrace;

  async function tasksOf(name: string): Promise<Task[]> {
    const tasks: Task[] = [];
    for (let pageToken = '', more = true; more; more = pageToken !== '') {
      const page = await pipelineRuns.listTasks({ parent: name, pageSize: 1000, pageToken });
      tasks.push(...page.tasks);
      pageToken = page.nextPageToken;
    }
    return tasks;
  }

  return {
    /** Runs a pipeline and answers its tasks, and how long its client waited for the end. */
    async run(
      spec: MessageInitShape<typeof PipelineSpecSchema>,
    ): Promise<{ tasks: Task[]; seconds: number }> {
      const pipeline = `${parent}/pipelines/p-${randomUUID()}`;
      await pipelines.applyPipeline({ pipeline: { name: pipeline, spec } });
      const begun = performance.now();
      const { pipelineRun } = await pipelineRuns.createPipelineRun({ parent, pipelineRun: { pipeline } });
      const { name } = pipelineRun!;
      let state = pipelineRun!.state;
      for await (const { change } of pipelineRuns.watchPipelineRun({ name, onlyRun: true }))
        if (change.case === 'pipelineRun') state = change.value.state;
      const seconds = (performance.now() - begun) / 1000;
      if (state !== PipelineRunState.SUCCEEDED) throw new Error(`${name} ended in state ${state}`);
      return { tasks: await tasksOf(name), seconds };
    },
    bare: (argv: readonly string[], count: number, most: number) =>
      ask<Spawned>(floor, { argv, count, inFlight: most }),
    async close() {
      await floor.stop();
      millrace.close();
      await service.stop();
      await nats.stop();
      await folder.remove();
    },
  };
}

/** Milliseconds since 1970 of what {@link tellTime} left. */
const momentMs = (nanoseconds: string) => Number(BigInt(nanoseconds.trim())) / 1e6;
const endMs = ({ endTime }: Task) => Number(endTime?.seconds ?? 0) * 1000 + (endTime?.nanos ?? 0) / 1e6;
const startMs = ({ startTime }: Task) =>
  Number(startTime?.seconds ?? 0) * 1000 + (startTime?.nanos ?? 0) / 1e6;

function figuresOf(waitsMs: readonly number[]) {
  const histogram = createHistogram();
  for (const ms of waitsMs) histogram.record(Math.max(1, Math.round(ms * 1e6)));
  const { p50, p99 } = latenciesOf(histogram);
  return { 'p50 ms': p50, 'p99 ms': p99 };
}

const steps = 100;

/** Steps one after the other. A step is ready when the one before it has ended, and began when its command says so. */
const overhead: Row = {
  name: 'steps-overhead',
  title: 'a step from ready to running, 100 in a chain',
  floor: 'bare child_process.spawn of the same command',
  aims: [atMost('p50 ms', 20)],
  async open() {
    const both = await startBoth();
    const chain = Array.from({ length: steps }, (_, n): StepInit => {
      const outputs = [{ name: 'at', kind: OutputKind.TEXT, path: 'at' }];
      return {
        name: `s${String(n).padStart(3, '0')}`,
        dependsOn: n === 0 ? [] : [`s${String(n - 1).padStart(3, '0')}`],
        action: { case: 'command', value: { argv: tellTime, outputs } },
      };
    });
    return {
      async ours() {
        const { tasks } = await both.run({ steps: chain });
        const waits = tasks.slice(1).map((task, n) => {
          const { kind } = task.outputs[0]!;
          const told =
            kind.case === 'value' && kind.value.kind.case === 'stringValue' ? kind.value.kind.value : '';
          return momentMs(told) - endMs(tasks[n]!);
        });
        const whole = endMs(tasks.at(-1)!) - startMs(tasks[0]!);
        return { ...figuresOf(waits), 'ms in all': whole / steps };
      },
      async floor() {
        const { each, perSecond } = await both.bare(tellTime, steps, 1);
        return {
          ...figuresOf(each.map(({ begunMs, at }) => momentMs(at) - begunMs)),
          'ms in all': 1000 / perSecond,
        };
      },
      close: both.close,
    };
  },
};

/** A fan-out of so many trivial steps. */
const fanOut = (items: number) => ({
  maxParallel: inFlight,
  steps: [
    {
      name: 'item',
      action: { case: 'command' as const, value: { argv: trivial } },
      forEach: {
        source: {
          case: 'items' as const,
          value: {
            values: Array.from({ length: items }, (_, value) => ({
              kind: { case: 'numberValue' as const, value },
            })),
          },
        },
      },
    },
  ],
});

const rate: Row = {
  name: 'steps-rate',
  title: `trivial steps, ${inFlight} at once`,
  floor: `bare child_process.spawn of the same command, ${inFlight} at once`,
  aims: [atLeast('steps/s', 100)],
  async open() {
    const both = await startBoth();
    const count = 500;
    return {
      ours: async () => ({ 'steps/s': count / (await both.run(fanOut(count))).seconds }),
      floor: async () => ({ 'steps/s': (await both.bare(trivial, count, inFlight)).perSecond }),
      close: both.close,
    };
  },
};

const growth: Row = {
  name: 'steps-fan-out',
  title: 'a fan-out of 10,000 steps: what one costs, and how much more than in one of 100',
  rounds: 1,
  aims: [atMost('× that of 100', 1.3)],
  explanation:
    'a step makes and removes six inodes, and ext4 passes over those removed in the last minutes when it looks for one: with ten ' +
    'a step that search took a fifth of the time of the whole machine and a step of 10,000 cost 1.77 times one of 100; in one run ' +
    'nothing else grows (processor time of the orchestrator and of its supervisor is the same for the first and the last thousand).',
  async open() {
    const both = await startBoth();
    let isWarm = false;
    /** From the first start to the last end, so that what a run costs once does not count. */
    const costMs = async (items: number) => {
      const { tasks } = await both.run(fanOut(items));
      const own = tasks.filter(({ itemIndex }) => itemIndex !== undefined);
      return (Math.max(...own.map(endMs)) - Math.min(...own.map(startMs))) / items;
    };
    return {
      async ours() {
        const [few, some] = [await costMs(100), await costMs(1000)];
        // What warms up needs no 10,000.
        const many = isWarm ? await costMs(10_000) : some;
        isWarm = true;
        return { 'ms each': many, '× that of 1,000': many / some, '× that of 100': many / few };
      },
      close: both.close,
    };
  },
};

export const rows: readonly Row[] = [overhead, rate, growth];
