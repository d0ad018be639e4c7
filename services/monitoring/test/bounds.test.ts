import type { MessageInitShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { ReadTrainingSetResponseSchema } from '@millrace/contracts/features';
import { CreateBaselineRequestSchema } from '@millrace/contracts/monitoring';
import { openDocuments } from '@millrace/documents';
import { toBatch } from '@millrace/sdk';
import { tempDir } from '@millrace/testing';
import { expect, test } from 'vitest';
import { newMonitor } from '../src/domain/monitor.ts';
import { makeReport } from '../src/domain/report.ts';
import { readRows } from '../src/handlers/baseline-rows.ts';
import { collections } from '../src/store/collections.ts';
import { encodeColumn } from '../src/store/column-codec.ts';
import { readWindow } from '../src/store/rows.ts';
import { openStore } from '../src/store/store.ts';

const parent = 'projects/p';

test('a window of more rows than can be judged together is judged by its first ones, and all are counted', async () => {
  await using folder = tempDir('millrace-bounds-');
  const documents = await openDocuments({ url: `sqlite:${folder.path}/d.db`, collections });
  const store = openStore(documents);
  for (let i = 0; i < 10; i++) {
    const values = Float64Array.from({ length: 100 }, () => i);
    await store.chunks.insert(`p/m/0/${i}`, {
      monitor: 'p/m',
      startMs: 0,
      rowCount: 100,
      version: '1',
      inferenceIds: Array.from({ length: 100 }, (_, row) => `${i}/${row}`),
      inputs: [encodeColumn({ name: 'x', kind: 'number', values })],
      outputs: [encodeColumn({ name: 'colour', kind: 'category', values: Array(100).fill('red') })],
    });
  }
  const all = await readWindow(store, 'p/m', 0);
  expect([all.rowCount, all.readRows]).toEqual([1000, 1000]);
  for (const most of [
    { bytes: 12_000, rows: 10_000 },
    { bytes: 1e9, rows: 250 },
  ]) {
    const some = await readWindow(store, 'p/m', 0, most);
    expect(some.rowCount).toBe(1000);
    expect(some.readRows).toBeLessThan(1000);
    expect(some.inputs[0]?.values).toHaveLength(some.readRows);
    expect(some.outputs[0]?.values).toHaveLength(some.readRows);
    expect(some.versions).toEqual([['1', 1000]]);
    expect(some).toEqual(await readWindow(store, 'p/m', 0, most));
    const window = { lengthMs: 1000, offsetMs: 0, latenessMs: 0, labelDelayMs: 0, minRows: 1 };
    const monitor = newMonitor(
      'p',
      'm',
      {
        ...{ deployment: 'd', baseline: 'b', window, rules: [], paused: false, description: '', tags: [] },
        drift: { columns: [], overrides: [], share: 0.5, correction: 'none' },
      },
      0,
    );
    const sample = Float64Array.from([0, 1, 2]);
    const reference = { column: 'x', kind: 'number', count: 3, nulls: 0, distinct: 3, sample } as const;
    const steps = makeReport(monitor, some, [reference]);
    let step = steps.next();
    while (!step.done) step = steps.next();
    expect(step.value.reason).toContain(`the first ${some.readRows} rows`);
  }
  await documents.close();
});

test('a baseline of too large a training set is refused as soon as that is seen, with what is allowed', async () => {
  let pages = 0;
  const features = {
    async *readTrainingSet(): AsyncGenerator<MessageInitShape<typeof ReadTrainingSetResponseSchema>> {
      for (; pages < 1000; pages++)
        yield {
          rows: toBatch({
            x: { type: 'double', values: Array(100).fill(1) },
            colour: { type: 'string', values: Array(100).fill('red') },
          }),
        };
    },
  } as unknown as Parameters<typeof readRows>[1]['features'];
  const rows = { case: 'trainingSet', value: `${parent}/trainingSets/large` } as const;
  const request = create(CreateBaselineRequestSchema, { parent, rows });
  await expect(readRows(request, { features }, 50_000)).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    violations: [{ field: 'training_set' }],
  });
  expect(pages).toBeLessThan(20);
});
