import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bin } from '../learn/bins.ts';
import { boostTrees, predictTrees } from '../learn/boosted-trees.ts';
import { type Dataset, sigmoid } from '../learn/dataset.ts';
import { fitLogistic, predictLogistic } from '../learn/logistic.ts';
import { auc, measure } from '../learn/metrics.ts';
import { logisticToOnnx, treesToOnnx } from '../learn/onnx.ts';
import { score } from '../learn/score.ts';
import { growTree, type Node } from '../learn/tree.ts';
import { random, synthetic } from './data.ts';

describe('logistic regression', () => {
  test('of one truth value is the log odds of its two groups, which has a closed form', () => {
    // 30 of 100 without it and 80 of 100 with it are yes.
    const x = Float64Array.from({ length: 200 }, (_, i) => Number(i >= 100));
    const labels = Uint8Array.from({ length: 200 }, (_, i) => Number(i < 100 ? i < 30 : i < 180));
    const data: Dataset = { names: ['x'], columns: [x], labels, rowCount: 200 };
    const fitted = predictLogistic(fitLogistic(data, { lambda: 0 }), data);
    expect(fitted[0]).toBeCloseTo(0.3, 6);
    expect(fitted[199]).toBeCloseTo(0.8, 6);
  });

  test('ends where the penalised gradient is nought', () => {
    const data = synthetic(2000);
    const lambda = 3;
    const model = fitLogistic(data, { lambda });
    const errors = predictLogistic(model, data).map((p, i) => p - data.labels[i]!);
    expect(errors.reduce((sum, e) => sum + e, 0)).toBeCloseTo(0, 5);
    for (const [c, column] of data.columns.entries()) {
      const scaled = column.map((v) => (v - model.means[c]!) / model.deviations[c]!);
      const gradient = errors.reduce((sum, e, i) => sum + e * scaled[i]!, 0) + lambda * model.weights[c]!;
      expect(gradient).toBeCloseTo(0, 5);
    }
  });

  test('stays finite where a line parts the classes, and where a column never changes', () => {
    const x = Float64Array.from({ length: 100 }, (_, i) => i);
    const columns = [x, new Float64Array(100).fill(7), new Float64Array(100).fill(Number.NaN)];
    const labels = Uint8Array.from(x, (v) => Number(v >= 50));
    const data: Dataset = { names: ['x', 'same', 'none'], columns, labels, rowCount: 100 };
    const fitted = predictLogistic(fitLogistic(data, { lambda: 1 }), data);
    expect(fitted.every(Number.isFinite)).toBe(true);
    expect(auc(fitted, labels)).toBe(1);
  });
});

describe('trees', () => {
  const options = { maxLeaves: 2, minRows: 5, lambda: 1 };

  /** The best split of all there are, by trying each value of each column with missing values on either side. */
  function bruteForce(data: Dataset, gradients: Float64Array): { gain: number; column: number } {
    const total = gradients.reduce((sum, g) => sum + g, 0);
    const loss = (g: number, n: number) => g ** 2 / (n + options.lambda);
    let best = { gain: 0, column: -1 };
    for (const [column, values] of data.columns.entries()) {
      for (const threshold of new Set(values.filter((v) => !Number.isNaN(v)))) {
        for (const missingLeft of [true, false]) {
          let [g, n] = [0, 0];
          for (const [i, v] of values.entries()) {
            if (!(Number.isNaN(v) ? missingLeft : v <= threshold)) continue;
            g += gradients[i]!;
            n++;
          }
          if (n < options.minRows || data.rowCount - n < options.minRows) continue;
          const gain = loss(g, n) + loss(total - g, data.rowCount - n) - loss(total, data.rowCount);
          if (gain > best.gain) best = { gain, column };
        }
      }
    }
    return best;
  }

  const leafOf = (node: Node, data: Dataset, row: number): number => {
    if (!('column' in node)) return node.value;
    const v = data.columns[node.column]![row]!;
    return leafOf(
      (Number.isNaN(v) ? node.missingLeft : v <= node.threshold) ? node.left : node.right,
      data,
      row,
    );
  };

  test('the first split is the best of all', () => {
    const seeds = fc.tuple(
      fc.integer({ min: 1, max: 10_000 }),
      fc.constantFrom(0, 0.2),
      fc.integer({ min: 12, max: 60 }),
    );
    fc.assert(
      fc.property(seeds, ([seed, missing, rowCount]) => {
        const data = synthetic(rowCount, { seed, missing });
        const next = random(seed + 1);
        const gradients = Float64Array.from({ length: rowCount }, (_, i) => data.labels[i]! - next());
        const rows = Uint32Array.from({ length: rowCount }, (_, i) => i);
        const tree = growTree(bin(data), gradients, new Float64Array(rowCount).fill(1), rows, options);
        const best = bruteForce(data, gradients);
        const values = Array.from(rows, (row) => leafOf(tree, data, row));
        // What a tree gains is what its leaves take off the second-order loss: G²/(H + λ) each.
        let gain = 0;
        for (const value of new Set(values)) {
          const inside = [...rows].filter((row) => values[row] === value);
          const g = inside.reduce((sum, row) => sum + gradients[row]!, 0);
          expect(value).toBeCloseTo(-g / (inside.length + options.lambda), 9);
          gain += g ** 2 / (inside.length + options.lambda);
        }
        const total = gradients.reduce((sum, g) => sum + g, 0);
        gain -= total ** 2 / (rowCount + options.lambda);
        expect(gain).toBeCloseTo(best.gain, 6);
      }),
      { numRuns: 60 },
    );
  });

  test('leaves hold at least as many rows as they must, and there are no more than may be', () => {
    const data = synthetic(1000, { missing: 0.1 });
    const model = boostTrees(data, { trees: 3, learningRate: 1, maxLeaves: 7, minRows: 40, lambda: 0 });
    for (const tree of model.trees) {
      const counts = new Map<number, number>();
      for (let row = 0; row < data.rowCount; row++) {
        const value = leafOf(tree, data, row);
        counts.set(value, (counts.get(value) ?? 0) + 1);
      }
      expect(counts.size).toBeLessThanOrEqual(7);
      expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(40);
    }
  });

  test('every tree lowers the loss on the rows it learned from', () => {
    const data = synthetic(1500, { missing: 0.05 });
    const losses = [1, 5, 20].map((trees) => {
      const model = boostTrees(data, { trees, learningRate: 0.2, maxLeaves: 6, minRows: 20, lambda: 1 });
      return measure(predictTrees(model, data), data.labels).log_loss;
    });
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
  });
});

describe('an ONNX file says what its model says', () => {
  test.each([0, 0.2])('with %s of the values missing', async (missing) => {
    const data = synthetic(700, { missing, columns: 4 });
    const logistic = fitLogistic(data, { lambda: 1 });
    const trees = boostTrees(data, { trees: 15, learningRate: 0.3, maxLeaves: 8, minRows: 10, lambda: 1 });
    const pairs = [
      [predictLogistic(logistic, data), await score(logisticToOnnx(logistic, {}), data)],
      [predictTrees(trees, data), await score(treesToOnnx(trees, 4, {}), data)],
    ] as const;
    for (const [own, served] of pairs) {
      expect(served).toHaveLength(700);
      for (const [i, p] of own.entries()) expect(Math.abs(served[i]! - p)).toBeLessThan(1e-5);
    }
  });
});

test('metrics are what counting by hand gives', () => {
  const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.boolean()), {
    minLength: 1,
    maxLength: 60,
  });
  fc.assert(
    fc.property(rows, (list) => {
      const scores = Float64Array.from(list, ([s]) => s / 8);
      const labels = Uint8Array.from(list, ([, y]) => Number(y));
      const wins: number[] = [];
      for (const [a, yes] of list)
        for (const [b, no] of list) if (yes && !no) wins.push(a > b ? 1 : a === b ? 0.5 : 0);
      const metrics = measure(scores, labels);
      const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
      if (wins.length > 0) expect(metrics.auc).toBeCloseTo(mean(wins), 10);
      else expect(metrics.auc).toBeNaN();
      expect(metrics.base_rate).toBeCloseTo(mean([...labels]), 10);
      expect(metrics.log_loss).toBeGreaterThan(0);
      expect(metrics.log_loss).toBeLessThan(17);
    }),
  );
  expect(measure(Float64Array.of(0.8, 0.4), Uint8Array.of(1, 0)).log_loss).toBeCloseTo(
    -(Math.log(0.8) + Math.log(0.6)) / 2,
    12,
  );
  expect(measure(Float64Array.of(0.8, 0.4), Uint8Array.of(1, 0)).brier).toBeCloseTo(
    (0.2 ** 2 + 0.4 ** 2) / 2,
    6,
  );
  expect(sigmoid(-800)).toBe(0);
});
