import { isCelError } from '@bufbuild/cel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile } from '../src/index.ts';

type Input = Parameters<Exclude<ReturnType<typeof compile>, { error: string }>['run']>[0];

function run(text: string, bindings: Input = {}): unknown {
  const compiled = compile(text);
  if ('error' in compiled) throw new Error(compiled.error);
  return compiled.run(bindings);
}

/** `[1].all(x0, [1].all(x1, …))`, so deep. */
function loops(depth: number): string {
  return Array.from({ length: depth }).reduceRight<string>(
    (inner, _, n) => `[1].all(x${n}, ${inner})`,
    'true',
  );
}

describe('expressions', () => {
  it('evaluate what they are given', () => {
    expect(run('a.b > 1.0 && c in ["x", "y"]', { a: new Map([['b', 2]]), c: 'y' })).toBe(true);
  });

  it('tell line and column of what cannot be read', () => {
    expect(compile('1 +\n2 && x.')).toEqual({ error: expect.stringMatching(/^line \d, column \d+: /) });
  });

  it.each([1, 2, 32, 33, 200])('of %i brackets are taken up to 32', (depth) => {
    const result = compile(`${'('.repeat(depth)}true${')'.repeat(depth)}`);
    expect('error' in result).toBe(depth > 32);
  });

  it('do not count brackets in texts', () => {
    expect(run(`"${'('.repeat(100)}" != '${'['.repeat(100)}'`)).toBe(true);
  });

  it.each([1, 2, 3, 5])('with macros nested %i deep are taken up to 2, wherever they are nested', (depth) => {
    expect('error' in compile(loops(depth))).toBe(depth > 2);
    expect('error' in compile(`true ? ${loops(depth)} : {"a": [${loops(depth)}]}["a"][0]`)).toBe(depth > 2);
    expect('error' in compile(`[${loops(depth - 1)}].all(x, x)`)).toBe(depth > 2);
  });

  it('go over no long list where macros are nested, and over any list where they are not', () => {
    const items = Array.from({ length: 1_001 }, (_, n) => BigInt(n));
    const nested = 'event.items.all(x, event.items.exists(y, x == y))';
    const flat = 'event.items.all(x, x >= 0)';
    const bindings = (list: bigint[]) => ({ event: new Map([['items', list]]) });
    const refused = run(nested, bindings(items));
    expect(isCelError(refused) && refused.message).toContain('a list has 1001 items');
    expect(run(nested, bindings(items.slice(0, 1_000)))).toBe(true);
    expect(run(flat, bindings(items))).toBe(true);
  });

  it('never throw, whatever is written and bound', () => {
    const pieces = fc.constantFrom(
      ...'()[]{}?:.,!-+*/%<>=&|"\\'.split(''),
      'a',
      'all',
      'has',
      '1',
      '1.5',
      ' in ',
      'true',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, fc.oneof(fc.string(), fc.double(), fc.boolean()), (written, a) => {
        const compiled = compile(written);
        if (!('error' in compiled)) compiled.run({ a });
        else expect(compiled.error).not.toBe('');
      }),
      { numRuns: 500 },
    );
  });
});
