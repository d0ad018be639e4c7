import { isCoded } from '@millrace/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileFilter, type Row } from '../src/domain/filter/evaluate.ts';
import { parseOrder } from '../src/domain/filter/order.ts';
import { parseFilter } from '../src/domain/filter/parser.ts';
import { printFilter, printOrder } from '../src/domain/filter/printer.ts';
import { conditions, rows, sortKeys } from './arbitraries.ts';
import { naive } from './naive-filter.ts';

function row(parts: {
  metrics?: Record<string, number>;
  params?: Record<string, string>;
  tags?: Record<string, string>;
  attributes?: Record<string, string | number>;
}): Row {
  const read = <T>(values: Record<string, T> = {}) => {
    const map = new Map(Object.entries(values));
    return (key: string) => map.get(key);
  };
  return {
    metric: read(parts.metrics),
    param: read(parts.params),
    tag: read(parts.tags),
    attribute: read(parts.attributes),
  };
}

const matches = (filter: string, of: Row) => compileFilter(parseFilter(filter))(of);

describe('the filter language', () => {
  test('printing and parsing give the same tree', () => {
    fc.assert(
      fc.property(conditions, (condition) => {
        expect(parseFilter(printFilter(condition))).toEqual(condition);
      }),
      { numRuns: 500 },
    );
  });

  test('sort keys too', () => {
    fc.assert(
      fc.property(sortKeys, (keys) => {
        expect(parseOrder(printOrder(keys))).toEqual(keys);
      }),
    );
  });

  test('a compiled filter answers as a naive evaluation does', () => {
    fc.assert(
      fc.property(conditions, rows, (condition, of) => {
        expect(compileFilter(condition)(of)).toBe(naive(condition, of));
      }),
      { numRuns: 2000 },
    );
  });

  test('whatever is sent, the answer is a tree or INVALID_FIELD', () => {
    const fragments = [
      'metrics.',
      'a',
      '"',
      '`',
      "'",
      '(',
      ')',
      'AND',
      'NOT',
      ' ',
      '<=',
      '1e309',
      '-',
      'IN',
      ',',
      '\\',
      '💥',
      'LIKE',
    ];
    const texts = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...fragments)).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseFilter(text);
        } catch (error) {
          if (!isCoded(error, 'INVALID_FIELD')) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  const run = row({
    metrics: { auc: 0.9, loss: Number.NaN, 'val/acc': Infinity, 'a b': 1 },
    params: { lr: '0.01', kind: 'gbt', ['__proto__']: 'x' },
    tags: { branch: 'release/1', 'git branch': 'main' },
    attributes: { status: 'FINISHED', start_time: 1_700_000_000_000, run_name: 'Night run' },
  });

  test.each([
    ['metrics.auc > 0.8', true],
    ['metrics.auc > 0.8 AND params.kind = "gbt"', true],
    ["metric.auc < 0.8 or tag.branch like 'rel%'", true],
    ['NOT (metrics.auc > 0.8)', false],
    ['metrics.missing != 1', false],
    ['NOT metrics.missing = 1', true],
    ['metrics.missing IS NULL AND metrics.auc IS NOT NULL', true],
    ['metrics.loss = nan', true],
    ['metrics.loss != nan', false],
    ['metrics.loss < 1 OR metrics.loss >= 1', false],
    ['metrics.val/acc = inf', true],
    ['metrics.val/acc > -inf', true],
    ['metrics.`a b` >= 1', true],
    ['params.lr < 0.1', true],
    ['params.kind < 0.1', false],
    ["params.lr IN ('0.01', '0.1')", true],
    ["params.lr NOT IN ('0.01')", false],
    ["params.missing NOT IN ('a')", false],
    ['params.lr IN (0.010)', true],
    ['tags."git branch" = \'main\'', true],
    ["tags.branch ILIKE 'RELEASE/_'", true],
    ["tags.branch NOT LIKE '%0'", true],
    ["status = 'finished'", true],
    ["attributes.status != 'FAILED'", true],
    ["start_time > '2023-11-14T00:00:00Z'", true],
    ['attributes.end_time < 5', false],
    ["run_name = 'Night run'", true],
    ["params.__proto__ = 'x'", true],
    ['tags.constructor IS NULL AND tags.toString IS NULL AND tags.`__proto__` IS NULL', true],
    ['', true],
  ])('%s is %s', (filter, expected) => {
    expect(matches(filter, run)).toBe(expected);
  });

  test.each([
    ['metrics.x > 1; DROP TABLE runs', 'character 14'],
    ['{"$where": "1"}', 'character 1'],
    ['name[$ne]=1', 'character 5'],
    ["metrics.x > 'a'", 'metrics are numbers'],
    ['metrics.x > 1e309', 'character 13'],
    ['metrics.x', 'character 10'],
    ['metrics.x LIKE "a"', 'LIKE only with'],
    ["status = 'DONE'", 'RUNNING'],
    ["status > 'FINISHED'", '= or !='],
    ["start_time > 'yesterday'", 'RFC 3339'],
    ['colour.x = 1', 'not colour'],
    ['shape = 1', 'not shape'],
    ["tags.x = 'open", "closing '"],
    ['(metrics.x = 1', ')'],
    ['metrics.x = 1 metrics.y = 2', 'AND, OR or the end'],
    ['params.x IN ()', 'a number or a quoted text'],
    ['NOT', 'metrics.'],
    [`metrics.${'k'.repeat(300)} = 1`, 'at most 256'],
    [`tags.x LIKE '${'%'.repeat(300)}'`, 'at most 256'],
    [Array(300).fill('metrics.x = 1').join(' OR '), 'at most 256 comparisons'],
    [`params.x IN (${Array(1500).fill('1').join(',')})`, 'at most 1000 values'],
  ])('refuses %j', (filter, part) => {
    expect(() => parseFilter(filter)).toThrow(part);
  });

  test('depth and length are refused at once', () => {
    const start = performance.now();
    expect(() => parseFilter('('.repeat(8000))).toThrow('at most 64 nested');
    expect(() => parseFilter('NOT '.repeat(2000))).toThrow('at most 64 nested');
    expect(() => parseFilter('('.repeat(100_000))).toThrow('at most 8192');
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
