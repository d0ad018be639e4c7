import { createHistogram } from 'node:perf_hooks';

import { latenciesOf } from '../load/latencies.ts';
import { openLoop } from '../load/open.ts';
import { zipf } from '../load/zipf.ts';
import { residentMiB } from '../machine.ts';
import { type Aim, atMost, type Row } from '../row.ts';
import { tinyModel } from '../served/models.ts';
import { requestFor, startServing } from '../served/serving.ts';

const models = 1000;
const inMemory = 200;
const perSecond = 200;
const exponent = 1;
const seconds = 5;

const boundedBy = (times: number): Aim => ({
  text: `MiB ≤ ${times} × with ${inMemory} models registered`,
  holds: ({ ratio }) => (ratio.MiB?.median ?? Number.NaN) <= times,
});

/** Says whether a model is among those asked for last; keeps as many as the service keeps, by the same rule. */
function lastUsed(most: number): (model: number) => boolean {
  const used = new Set<number>();
  return (model) => {
    const known = used.delete(model);
    used.add(model);
    for (const oldest of used) {
      if (used.size <= most) break;
      used.delete(oldest);
    }
    return known;
  };
}

const many: Row = {
  name: 'many-models',
  title: `ModelInfer, ${models} models of which ${inMemory} may be in memory, asked for by Zipf's law, ${perSecond} calls/s`,
  floor: `the same service when it had ${inMemory} models, all in memory`,
  rounds: 3,
  aims: [atMost('cold p95 ms', 100), atMost('failed', 0), boundedBy(1.5)],
  async open() {
    const serving = await startServing({ MAX_LOADED_MODELS: String(inMemory) });
    const names = Array.from({ length: models }, (_, n) => `m${n}`);
    const requests = names.map((name) => requestFor(name, 1, 4));
    const deploy = async (from: number, to: number) => {
      let next = from;
      const worker = async () => {
        while (next < to) {
          const n = next++;
          await serving.deploy(names[n]!, tinyModel(n));
        }
      };
      await Promise.all(Array.from({ length: 16 }, worker));
    };
    const pick = zipf(models, exponent, 1);
    const isWarm = lastUsed(inMemory);
    const ask = async (of: number) => {
      const [warm, cold] = [createHistogram(), createHistogram()];
      let [misses, calls] = [0, 0];
      const call = async () => {
        let n = pick();
        while (n >= of) n = pick();
        const known = isWarm(n);
        calls += 1;
        if (!known) misses += 1;
        const begun = performance.now();
        await serving.infer(requests[n]!);
        (known ? warm : cold).record(Math.max(1, Math.round((performance.now() - begun) * 1e6)));
      };
      const { failed } = await openLoop({ perSecond, seconds, call });
      return { warm: latenciesOf(warm), cold: latenciesOf(cold), failed, misses: misses / calls };
    };
    await deploy(0, inMemory);
    await ask(inMemory);
    const before = { p50: (await ask(inMemory)).warm.p50, MiB: residentMiB(serving.pid) };
    await deploy(inMemory, models);
    return {
      async ours() {
        const { warm, cold, failed, misses } = await ask(models);
        return {
          'cold p95 ms': cold.p95,
          'warm p50 ms': warm.p50,
          '% cold': 100 * misses,
          failed,
          MiB: residentMiB(serving.pid),
        };
      },
      floor: async () => ({ 'warm p50 ms': before.p50, MiB: before.MiB }),
      close: () => serving.close(),
    };
  },
};

export const rows: readonly Row[] = [many];
