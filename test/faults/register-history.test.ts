import { expect, test } from 'vitest';
import { type Call, notLinearizable } from './register-history.ts';
import { createChance } from './scenario.ts';

const call = (kind: Call['kind'], revision: number, fromMs: number, toMs: number): Call => ({
  kind,
  revision,
  fromMs,
  toMs,
});

test('what can be put in one order is linearizable', () => {
  const history = [
    call('move', 1, 0, 10),
    call('read', 1, 5, 20),
    call('move', 2, 8, 30),
    call('read', 2, 9, 12),
    call('read', 1, 9, 13),
    call('conflict', 1, 11, 14),
    call('read', 3, 40, 41),
  ];
  expect(notLinearizable(history)).toEqual([]);
});

test.each([
  [
    'a read of what was replaced before it began',
    [call('move', 1, 0, 1), call('move', 2, 2, 3), call('read', 1, 4, 5)],
  ],
  ['a read of what comes later', [call('move', 1, 0, 1), call('read', 2, 2, 3), call('move', 2, 4, 5)]],
  ['two reads, the second older', [call('read', 2, 0, 1), call('read', 1, 2, 3)]],
  ['two winners', [call('move', 1, 0, 5), call('move', 1, 0, 5)]],
  ['moves against the order of their calls', [call('move', 2, 0, 1), call('move', 1, 2, 3)]],
  ['a refusal without a reason', [call('move', 1, 0, 1), call('conflict', 1, 2, 3), call('move', 2, 4, 5)]],
])('%s is not', (_what, history) => {
  expect(notLinearizable(history)).not.toEqual([]);
});

test('whatever order really happened is found linearizable', () => {
  for (let seed = 0; seed < 200; seed++) {
    const chance = createChance(seed);
    let revision = 0;
    const history = Array.from({ length: 40 }, (_, at): Call => {
      const [fromMs, toMs] = [at - chance.random() * 5, at + chance.random() * 5];
      const kind = chance.pick(['move', 'read', 'conflict'] as const);
      if (kind === 'move') revision += 1;
      const other = chance.pick([revision - 1, revision + 1]);
      return { kind, revision: kind === 'conflict' ? other : revision, fromMs, toMs };
    });
    expect(notLinearizable(history), `seed ${seed}`).toEqual([]);
  }
});
