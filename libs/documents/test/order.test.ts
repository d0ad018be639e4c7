import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Moment, orderPending } from '../src/mongo/order.ts';
import { keyOf } from '../src/query/key.ts';
import { items, notes } from './subject.ts';

test('index keys are in the order of their values', () => {
  const number = fc.double({ noNaN: true });
  fc.assert(
    fc.property(number, number, (a, b) => {
      const [x, y] = [keyOf(a), keyOf(b)];
      expect(x < y).toBe(a < b);
      expect(x === y).toBe(a === b);
    }),
  );
});

describe('moving events out of documents', () => {
  // Steps of a history: a write to one of a few documents, or a look at one collection.
  const document = fc.record({ spec: fc.constantFrom(items, notes), id: fc.constantFrom('a', 'b', 'c') });
  const step = fc.oneof(
    { weight: 4, arbitrary: document.map((target) => ({ write: target })) },
    { weight: 1, arbitrary: fc.constant({ look: true as const }) },
  );

  test('whatever happens between the looks, events are moved in the order they were acknowledged', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (steps, size) => {
        const world = createWorld(size);
        for (const one of steps) 'look' in one ? world.look() : world.write(one.write);
        for (let i = 0; i < 100; i++) world.look();
        expect(world.moved).toEqual(world.written);
      }),
    );
  });
});

/** Documents with waiting events, looked at one collection at a time, at most `size` documents at once. */
function createWorld(size: number) {
  const waiting = new Map<
    typeof items | typeof notes,
    Map<string, Moment['documents'][number]['out'][number][]>
  >([
    [items, new Map()],
    [notes, new Map()],
  ] as never);
  const written: string[] = [];
  const moved: string[] = [];
  // What was looked at so far in this pass: two looks of two collections each, with writes in between.
  let looks: Moment[] = [];
  return {
    written,
    moved,
    write({ spec, id }: { spec: typeof items | typeof notes; id: string }) {
      const stamp = String(written.length).padStart(6, '0');
      written.push(stamp);
      const out = waiting.get(spec)!.get(id) ?? [];
      const data = Buffer.alloc(0);
      out.push({ stamp, id: stamp, type: '', project: '', resource: '', time: 0, data });
      waiting.get(spec)!.set(id, out);
    },
    look() {
      const spec = looks.length % 2 === 0 ? items : notes;
      const all = [...waiting.get(spec)!]
        .filter(([, out]) => out.length > 0)
        .map(([_id, out]) => ({ _id, born: '', out: [...out] }))
        .sort((a, b) => (a.out[0]!.stamp < b.out[0]!.stamp ? -1 : 1));
      looks.push({ spec, documents: all.slice(0, size), complete: all.length < size });
      if (looks.length < 4) return;
      for (const { moment, document, event } of orderPending(looks.slice(0, 2), looks.slice(2))) {
        moved.push(event.stamp);
        const out = waiting.get(moment.spec as typeof items)!.get(document._id)!;
        out.splice(
          out.findIndex((one) => one.stamp === event.stamp),
          1,
        );
      }
      looks = [];
    },
  };
}
