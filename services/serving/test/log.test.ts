import { LoggingMode } from '@millrace/contracts/serving';
import { until } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { floatsOf, type Harness, model, rowsOf, startHarness } from './harness.ts';
import { linearModel } from './models.ts';

let h: Harness;
beforeAll(async () => {
  h = await startHarness();
  h.addVersion(1, linearModel([1, 10], 0.5));
  h.addVersion(2, linearModel([2, 20], 0.5));
  await h.moveAlias('champion', 1);
});
afterAll(() => h.stop());

const int64 = (value: number) => ({ parameterChoice: { case: 'int64Param' as const, value: BigInt(value) } });
const pinned = (version: number, more = {}) => ({
  model,
  weight: 1,
  selector: { case: 'version' as const, value: version },
  ...more,
});

describe('inference log', () => {
  it('holds every answered row before its answer, in columns', async () => {
    await h.deploy('whole', { logging: { tensorColumns: [{ tensor: 'x', columns: ['distance', 'hour'] }] } });
    await h.ready('whole', 1);
    const requests = Array.from({ length: 100 }, async (_, i) => {
      const id = `q${i}`;
      const parameters = { event_time_ms: int64(1_000_000 + i) };
      await h.clients.inference.modelInfer(
        rowsOf(
          'whole',
          i % 2
            ? [[i, 0.1]]
            : [
                [i, 0.1],
                [i, 2],
              ],
          { id, parameters },
        ),
      );
      const now = await h.logged('whole');
      expect(now.some((event) => event.requestIds.includes(id))).toBe(true);
    });
    await Promise.all(requests);
    const events = await h.logged('whole');
    expect(events.length).toBeLessThan(100);
    const ids = events.flatMap((event) => event.inferenceIds);
    expect(new Set(ids).size).toBe(150);
    expect(ids).toContain('q1');
    expect(ids).toContain('q2/0');
    expect(ids).toContain('q2/1');
    for (const event of events) {
      expect(event).toMatchObject({ modelVersion: `${model}/versions/1`, shadow: false, sampleRate: 1 });
      const [distance, hour] = event.inputs!.columns;
      expect([distance?.name, hour?.name]).toEqual(['distance', 'hour']);
      const [y] = event.outputs!.columns;
      for (const [row, id] of event.requestIds.entries()) {
        const i = Number(id.slice(1));
        expect(distance?.doubles[row]).toBe(i);
        // What came as the FP32 nearest to 0.1 is 0.1 in the log.
        expect([0.1, 2]).toContain(hour?.doubles[row]);
        expect(y?.doubles[row]).toBeCloseTo(i + 10 * (hour?.doubles[row] ?? 0) + 0.5, 4);
        expect(event.eventTimes[row]).toBe(BigInt(1000 * (1_000_000 + i)));
      }
    }
  }, 30_000);

  it('logs a repeated request once, also after a restart, and another one under the same id', async () => {
    await h.deploy('repeated');
    await h.ready('repeated', 1);
    const ask = (id: string, rows: number[][]) =>
      h.clients.inference.modelInfer(rowsOf('repeated', rows, { id }));
    const count = async () => (await h.logged('repeated')).flatMap((event) => event.inferenceIds).length;
    await Promise.all([
      ask('one', [
        [0.1, 2],
        [3, Number.NaN],
      ]),
      ask('two', [[-0, 1]]),
    ]);
    await ask('one', [
      [0.1, 2],
      [3, Number.NaN],
    ]);
    expect(await count()).toBe(3);
    await h.restart();
    await until(
      () =>
        ask('one', [
          [0.1, 2],
          [3, Number.NaN],
        ]).then(() => true),
      { what: 'it answers' },
    );
    await ask('two', [[-0, 1]]);
    expect(await count()).toBe(3);
    await ask('two', [[5, 1]]);
    expect(await count()).toBe(4);
  }, 30_000);

  it('logs once what is asked again before the first try is logged', async () => {
    await h.deploy('overtaken');
    await h.ready('overtaken', 1);
    for (let i = 0; i < 20; i++) {
      const ask = () => h.clients.inference.modelInfer(rowsOf('overtaken', [[i, 1]], { id: `o${i}` }));
      const answers = await Promise.all([ask(), ask(), ask()]);
      expect(answers.map((answer) => floatsOf(answer))).toEqual(Array(3).fill([i + 10.5]));
    }
    const ids = (await h.logged('overtaken')).flatMap((event) => event.inferenceIds);
    expect(ids.toSorted()).toEqual(Array.from({ length: 20 }, (_, i) => `o${i}`).toSorted());
  }, 30_000);

  it('runs shadows behind the answer and logs them apart', async () => {
    await h.deploy('shadowed', { targets: [pinned(1), pinned(2, { shadow: true })] });
    await h.ready('shadowed', 1);
    await h.ready('shadowed', 2, 1);
    for (let i = 0; i < 20; i++) {
      const answer = await h.clients.inference.modelInfer(rowsOf('shadowed', [[i, 0]], { id: `s${i}` }));
      expect(answer.modelVersion).toBe('1');
      expect(floatsOf(answer)).toEqual([i + 0.5]);
    }
    const shadows = async () => (await h.logged('shadowed')).filter((event) => event.shadow);
    await until(async () => (await shadows()).flatMap((event) => event.inferenceIds).length === 20, {
      what: 'shadow rows',
    });
    for (const event of await shadows()) {
      expect(event.modelVersion).toBe(`${model}/versions/2`);
      for (const [row, id] of event.requestIds.entries())
        expect(event.outputs?.columns[0]?.doubles[row]).toBe(2 * Number(id.slice(1)) + 0.5);
    }
  }, 30_000);

  it('samples by id, and logs nothing when it is off', async () => {
    await h.deploy('sampled', { logging: { mode: LoggingMode.SAMPLED, sampleRate: 0.25 } });
    await h.deploy('off', { logging: { mode: LoggingMode.OFF } });
    await h.ready('sampled', 1);
    await h.ready('off', 1);
    const ids = Array.from({ length: 400 }, (_, i) => `p${i}`);
    await Promise.all(
      ids.flatMap((id) =>
        ['sampled', 'off'].map((name) => h.clients.inference.modelInfer(rowsOf(name, [[1, 2]], { id }))),
      ),
    );
    await until(async () => (await h.logged('sampled')).flatMap((event) => event.inferenceIds).length > 60, {
      what: 'the sample',
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    const logged = (await h.logged('sampled')).flatMap((event) => event.inferenceIds);
    expect(logged.length).toBeGreaterThan(60);
    expect(logged.length).toBeLessThan(140);
    expect(await h.logged('off')).toEqual([]);
    expect((await h.logged('sampled')).every((event) => event.sampleRate === 0.25)).toBe(true);
  }, 30_000);

  it('splits what is too large for one event', async () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => [i, i]);
    await h.clients.inference.modelInfer(rowsOf('whole', rows, { id: 'large' }));
    const events = (await h.recorded('inferenceLogged')).filter(({ data }) => data.length > 100_000);
    expect(events.length).toBeGreaterThan(2);
    for (const { data } of events) expect(data.length).toBeLessThan(800_000);
    const ids = (await h.logged('whole')).flatMap((event) =>
      event.inferenceIds.filter((id) => id.startsWith('large/')),
    );
    expect(ids).toEqual(rows.map((_, i) => `large/${i}`));
  }, 60_000);
});

describe('feature look-up', () => {
  it('assembles inputs from features and request columns, with defaults and per-row times', async () => {
    await h.deploy('looked-up', {
      featureLookup: {
        entityKeys: [{ key: 'origin' }],
        eventTimeInput: 'time',
        inputs: [
          {
            input: 'x',
            columns: [
              {
                source: { case: 'feature', value: 'view:delay' },
                defaultValue: { kind: { case: 'doubleValue', value: -1 } },
              },
              { source: { case: 'requestInput', value: 'distance' } },
            ],
          },
        ],
      },
    });
    await h.ready('looked-up', 1);
    const encode = (text: string) => new TextEncoder().encode(text);
    const request = (times: bigint[]) => ({
      modelName: 'looked-up',
      id: `l${times[1]}`,
      inputs: [
        {
          name: 'origin',
          datatype: 'BYTES',
          shape: [2n],
          contents: { bytesContents: ['JFK', 'nowhere'].map(encode) },
        },
        { name: 'distance', datatype: 'INT32', shape: [2n, 1n], contents: { intContents: [7, 8] } },
        { name: 'time', datatype: 'INT64', shape: [2n], contents: { int64Contents: times } },
      ],
    });
    const answer = await h.clients.inference.modelInfer(request([1000n, 2000n]));
    expect(floatsOf(answer)).toEqual([30 + 70 + 0.5, -1 + 80 + 0.5]);
    expect(answer.parameters.features_missing?.parameterChoice).toEqual({ case: 'int64Param', value: 1n });
    const asked = h.features.requests.at(-1);
    expect(asked?.keys?.columns.map((column) => column.name)).toEqual(['origin', asked?.atColumn]);
    expect(asked?.keys?.columns[1]?.int64s).toEqual([1_000_000n, 2_000_000n]);
    await h.clients.inference.modelInfer(request([5000n, 5000n]));
    expect(h.features.requests.at(-1)).toMatchObject({ at: { seconds: 5n }, atColumn: '' });
    const [event] = await h.logged('looked-up');
    expect(event?.eventTimes).toEqual([1_000_000n, 2_000_000n]);
    expect(event?.entities?.columns[0]).toMatchObject({ name: 'origin', strings: ['JFK', 'nowhere'] });
    expect(event?.inputs?.columns.map((column) => column.name)).toEqual(['delay', 'distance']);
    expect([...(event?.inputs?.columns[0]?.validity ?? [])]).toEqual([0b01]);
    expect(event?.inputs?.columns[1]?.doubles).toEqual([7, 8]);
  });

  it.each([
    ['no entity key', []],
    [
      'another number of rows',
      [
        {
          name: 'origin',
          datatype: 'BYTES',
          shape: [1n],
          contents: { bytesContents: [new Uint8Array([65])] },
        },
        { name: 'distance', datatype: 'INT32', shape: [2n], contents: { intContents: [1, 2] } },
        { name: 'time', datatype: 'INT64', shape: [1n], contents: { int64Contents: [1n] } },
      ],
    ],
    [
      'a time of another type',
      [
        {
          name: 'origin',
          datatype: 'BYTES',
          shape: [1n],
          contents: { bytesContents: [new Uint8Array([65])] },
        },
        { name: 'distance', datatype: 'INT32', shape: [1n], contents: { intContents: [1] } },
        { name: 'time', datatype: 'FP64', shape: [1n], contents: { fp64Contents: [1] } },
      ],
    ],
    [
      'an input nobody knows',
      [
        {
          name: 'origin',
          datatype: 'BYTES',
          shape: [1n],
          contents: { bytesContents: [new Uint8Array([65])] },
        },
        { name: 'distance', datatype: 'INT32', shape: [1n], contents: { intContents: [1] } },
        { name: 'time', datatype: 'INT64', shape: [1n], contents: { int64Contents: [1n] } },
        { name: 'z', datatype: 'INT64', shape: [1n], contents: { int64Contents: [1n] } },
      ],
    ],
  ])('refuses %s', async (_, inputs) => {
    const call = h.clients.inference.modelInfer({ modelName: 'looked-up', inputs });
    await expect(call).rejects.toMatchObject({ kind: 'invalid_argument' });
  });
});
