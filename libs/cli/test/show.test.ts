import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shapeOf } from '../src/commands/predict.ts';
import { contentsOf, outputsOf } from '../src/commands/tensor.ts';
import { summary } from '../src/show/event-line.ts';
import { bytes, number, span } from '../src/show/format.ts';
import { tableLines } from '../src/show/table.ts';
import { clip, widthOf } from '../src/show/text.ts';

const columns = [
  { title: 'name', value: (row: readonly [string, string]) => row[0] },
  { title: 'text', value: (row: readonly [string, string]) => row[1], shrink: true },
];

describe('tables', () => {
  it('aligns columns and cuts those that may shrink', () => {
    expect(
      tableLines(
        [
          ['a', 'short'],
          ['bcd', 'x'.repeat(30)],
        ],
        columns,
        20,
      ),
    ).toEqual(['NAME  TEXT', 'a     short', `bcd   ${'x'.repeat(13)}…`]);
  });

  it('never is wider than the terminal while something can shrink, nor holds control characters', () => {
    const cell = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ maxLength: 10 }), cell)),
        fc.integer({ min: 24, max: 120 }),
        (rows, width) => {
          for (const line of tableLines(rows, columns, width)) {
            expect(widthOf(line)).toBeLessThanOrEqual(width);
            expect(line).not.toMatch(/[\p{Cc}]/u);
          }
        },
      ),
    );
  });

  it('may have more rows than a call has room for arguments', () => {
    const rows = Array.from({ length: 200_000 }, (_, i) => ['a', String(i)] as const);
    expect(tableLines(rows, columns, 80).at(-1)).toBe('a     199999');
  });

  it('cuts by characters', () => {
    expect(clip('aé𝒳b', 3)).toBe('aé…');
    expect(clip('ab', 2)).toBe('ab');
  });
});

it('shows sizes, times and numbers for people', () => {
  expect([0, 1023, 1536, 5 * 1024 ** 2, 3n * 1024n ** 4n].map(bytes)).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '5.0 MiB',
    '3.0 TiB',
  ]);
  expect([5, 1500, 45_000, 300_000, 7_200_000, 3e8].map(span)).toEqual([
    '5 ms',
    '1.5 s',
    '45 s',
    '5 min',
    '2 h',
    '3 d',
  ]);
  expect([0.123456789, 12, Number.NaN, 0.00000123, 123456.789].map(number)).toEqual([
    '0.12346',
    '12',
    'NaN',
    '1.23e-6',
    '123460',
  ]);
});

it('says in short what an event holds', () => {
  const data = {
    alias: { name: 'x', etag: '1' },
    to: 'projects/p/models/m/versions/3',
    text: 'a b',
    ids: ['1', '2'],
  };
  expect(summary(data)).toBe('to=models/m/versions/3 text="a b" ids[2]');
});

describe('tensors', () => {
  it('fills the open dimension of a model input', () => {
    expect(shapeOf('x', [-1, 5], 10)).toEqual([2, 5]);
    expect(shapeOf('x', [-1], 3)).toEqual([3]);
    expect(shapeOf('x', [5], 5)).toEqual([5]);
    expect(() => shapeOf('x', [-1, 5], 7)).toThrow(/x: has 7 values.*5 values for each row/);
  });

  it('names the input whose text does not fit', () => {
    expect(() => contentsOf('x', 'INT64', ['1.5'])).toThrow(/x: "1.5" is not a whole number/);
    expect(contentsOf('x', 'FP32', ['1.5', 'nan']).fp32Contents).toEqual([1.5, Number.NaN]);
    expect(contentsOf('x', 'BOOL', ['True', '0']).boolContents).toEqual([true, false]);
  });

  it('reads raw outputs', () => {
    const raw = new Uint8Array(new Float32Array([0.5, 2]).buffer);
    const response = {
      outputs: [{ name: 'p', datatype: 'FP32', shape: [2n, 1n] }],
      rawOutputContents: [raw],
    };
    expect(outputsOf(response as never)).toEqual([
      { name: 'p', datatype: 'FP32', shape: [2, 1], values: [0.5, 2] },
    ]);
  });
});
