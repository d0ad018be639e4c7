import { describe, expect, it } from 'vitest';
import { maxMessageBytes } from '../src/config.ts';
import { matchSignature } from '../src/domain/signature.ts';
import { numbersOf, type Tensor } from '../src/domain/tensor.ts';
import { createEngine, type Engine, type EngineModel } from '../src/engine/engine.ts';
import { linearModel, loopModel } from './models.ts';

const settings = {
  workers: 2,
  arena: false,
  heapMb: 256,
  runTimeoutMs: 20_000,
  loadTimeoutMs: 5000,
  memoryBudgetBytes: 1e9,
  maxMessageBytes,
  now: Date.now,
  log: { warn: () => undefined },
};
const limits = { maxRows: 32, maxDelayMs: 0, maxQueueRows: 100_000 };

/** An engine of models `y = factor · x` that counts who reads which file. */
async function openMany(engine: Engine, count: number) {
  const reads = new Map<number, { all: number; now: number; most: number }>();
  const broken = new Set<number>();
  const models: EngineModel[] = [];
  for (let factor = 0; factor < count; factor++) {
    const read = { all: 0, now: 0, most: 0 };
    reads.set(factor, read);
    const bytes = async () => {
      read.all += 1;
      read.now += 1;
      read.most = Math.max(read.most, read.now);
      await new Promise((resolve) => setTimeout(resolve, 2));
      read.now -= 1;
      if (broken.has(factor)) throw new Error('the file is gone');
      return linearModel([factor], 0);
    };
    models.push(await engine.open({ key: `m${factor}`, bytes, instances: 1, limits }));
  }
  return { models, reads, broken };
}

const one = (value: number): Tensor => ({
  name: 'x',
  type: 'FP32',
  shape: [1, 1],
  data: new Uint8Array(Float32Array.of(value).buffer),
});

async function ask(model: EngineModel, value: number): Promise<number> {
  const feeds = matchSignature(new Map([['x', one(value)]]), model.signature);
  const [y] = await model.run(feeds, { deadlineMs: Date.now() + 20_000 });
  return numbersOf(y as Tensor)[0] ?? Number.NaN;
}

describe('more models than memory holds', () => {
  it('answer every request, each by its own model, with never more than the limit in memory', async () => {
    const maxModels = 4;
    const engine = createEngine({ ...settings, maxModels });
    const { models, reads } = await openMany(engine, 20);
    const watch = setInterval(() => expect(engine.stats.models).toBeLessThanOrEqual(maxModels), 1);
    let state = 1;
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 16) % below;
    };
    const clients = Array.from({ length: 16 }, async () => {
      for (let i = 0; i < 40; i++) {
        // Some models are asked for far more often than others.
        const factor = Math.min(next(20), next(20));
        const value = next(1000);
        expect(await ask(models[factor]!, value)).toBe(factor * value);
        expect(engine.stats.models).toBeLessThanOrEqual(maxModels);
      }
    });
    await Promise.all(clients);
    clearInterval(watch);
    expect(engine.stats.evictions).toBeGreaterThan(20);
    expect(engine.stats.failedLoads).toBe(0);
    for (const { most } of reads.values()) expect(most).toBe(1);
    await Promise.all(models.map((model) => model.close()));
    expect(engine.stats.models).toBe(0);
    await engine.close();
  }, 60_000);

  it('share one load among all who ask for a cold model at the same time', async () => {
    const engine = createEngine({ ...settings, maxModels: 1 });
    const { models, reads } = await openMany(engine, 2);
    expect(reads.get(0)?.all).toBe(1);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(models[0]!, i)));
    expect(answers).toEqual(answers.map((_, i) => 0 * i));
    expect(reads.get(0)?.all).toBe(2);
    await engine.close();
  }, 30_000);

  it('do not leave in the middle of a run: who needs their room waits for its end', async () => {
    const engine = createEngine({ ...settings, maxModels: 1 });
    const { models } = await openMany(engine, 1);
    const loop = await engine.open({ key: 'loop', bytes: async () => loopModel(), instances: 1, limits });
    const order: string[] = [];
    const slow = ask(loop, 300_000).then((value) => {
      order.push('slow');
      return value;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const quick = ask(models[0]!, 3).then(() => order.push('quick'));
    expect(await slow).toBe(300_000);
    await quick;
    expect(order).toEqual(['slow', 'quick']);
    await engine.close();
  }, 30_000);

  it('load on a fresh worker when the one that should load them hangs', async () => {
    const engine = createEngine({ ...settings, workers: 1, runTimeoutMs: 400, maxModels: 2 });
    const { models } = await openMany(engine, 2);
    const loop = await engine.open({ key: 'loop', bytes: async () => loopModel(), instances: 1, limits });
    expect(await ask(models[1]!, 2)).toBe(2);
    const hangs = expect(ask(loop, 3_000_000)).rejects.toMatchObject({ code: 'RUN_TIMEOUT' });
    expect(await ask(models[0]!, 2)).toBe(0);
    await hangs;
    expect(await ask(models[1]!, 3)).toBe(3);
    await engine.close();
  }, 30_000);

  it('tell clearly that one cannot be loaded again, hold nobody else up, and come back with their file', async () => {
    const engine = createEngine({ ...settings, maxModels: 1 });
    const { models, broken } = await openMany(engine, 3);
    broken.add(0);
    const refused = { kind: 'unavailable', code: 'MODEL_NOT_LOADED', retryAfterMs: 1000 };
    await expect(ask(models[0]!, 1)).rejects.toMatchObject(refused);
    expect(await ask(models[1]!, 7)).toBe(7);
    expect(await ask(models[2]!, 7)).toBe(14);
    broken.delete(0);
    expect(await ask(models[0]!, 1)).toBe(0);
    await engine.close();
  }, 30_000);
});
