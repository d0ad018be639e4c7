import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { newId, openDocuments } from '../src/index.ts';
import { keptMarks } from '../src/marks.ts';
import { item, items } from './subject.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-marks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How often a kind of write comes in a row: with or without an effect, with so many marks. */
const stretch = fc.record({
  times: fc.nat({ max: 300 }),
  effect: fc.boolean(),
  cause: fc.boolean(),
  request: fc.boolean(),
});

test('marks stay bounded whatever the writes change, and the newest answer', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stretch, { minLength: 2, maxLength: 6 }), fc.nat(), async (stretches, pick) => {
      const file = join(folder, `${newId()}.db`);
      const store = await openDocuments({ url: `sqlite:${file}`, collections: [items] });
      const docs = store.collection(items);
      await docs.insert('a', item('g'));
      const given: { cause?: string; requestId?: string }[] = [];
      let count = 0;
      for (const { times, effect, cause, request } of stretches) {
        const writes = Array.from({ length: times }, () => {
          const options = { ...(cause && { cause: newId() }), ...(request && { requestId: newId() }) };
          given.push(options);
          if (effect) count += 1;
          return docs.change(
            'a',
            (doc) => (effect ? { doc: { ...doc, count: doc.count + 1 } } : undefined),
            options,
          );
        });
        await Promise.all(writes);
      }
      const marks = given.flatMap(({ cause, requestId }) => [
        ...(cause ? [{ cause }] : []),
        ...(requestId ? [{ requestId }] : []),
      ]);
      const newest = marks.slice(-keptMarks);
      const repeated = newest.length > 0 ? [newest[0]!, newest.at(-1)!, newest[pick % newest.length]!] : [];
      for (const options of repeated) await docs.change('a', () => ({ doc: item('again') }), options);
      expect(await docs.get('a')).toMatchObject({ doc: { group: 'g', count } });
      await store.close();
      const db = new DatabaseSync(file, { readOnly: true });
      const { kept } = db.prepare('SELECT count(*) AS kept FROM marks').get() as { kept: number };
      db.close();
      expect(kept).toBeLessThan(keptMarks + 64);
      expect(kept).toBeGreaterThanOrEqual(newest.length);
    }),
    { numRuns: 25 },
  );
});
