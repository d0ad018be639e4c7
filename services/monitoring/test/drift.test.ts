import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chiSquare } from '../src/domain/drift/chi-square.ts';
import { correctedThresholds } from '../src/domain/drift/correction.ts';
import { jensenShannon, populationStability } from '../src/domain/drift/frequencies.ts';
import { exactPValue, kolmogorovSmirnov, limitPValue } from '../src/domain/drift/kolmogorov-smirnov.ts';
import { normedWasserstein, wasserstein } from '../src/domain/drift/wasserstein.ts';

// Expected numbers: SciPy 1.17.1 on the same inputs.
const a = Float64Array.of(38.7, 41.5, 43.8, 44.5, 45.5, 46, 47.7, 58);
const b = Float64Array.of(39.2, 39.3, 39.7, 41.4, 41.8, 42.9, 43.3, 45.8);
const c1 = [16, 18, 16, 14, 12, 12];
const c2 = [16, 16, 16, 16, 16, 8];

function deviation(values: Float64Array): number {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
}

test('Kolmogorov-Smirnov agrees with SciPy, also where p is tiny', () => {
  const small = kolmogorovSmirnov(a, b);
  expect(small.statistic).toBeCloseTo(0.625, 12);
  expect(small.pValue).toBeCloseTo(0.08702408702408701, 12);
  const shifted = kolmogorovSmirnov(
    Float64Array.from({ length: 200 }, (_, i) => i),
    Float64Array.from({ length: 300 }, (_, i) => i + 15),
  );
  expect(shifted.statistic).toBeCloseTo(0.38333333333333336, 12);
  expect(shifted.pValue / 3.4162171917e-16).toBeCloseTo(1, 8);
});

test('the limit distribution approaches the exact one', () => {
  for (const d of [0.04, 0.06, 0.08])
    expect(limitPValue(d, 1500, 1300)).toBeCloseTo(exactPValue(d, 1500, 1300), 1);
  expect(limitPValue(0, 10, 10)).toBe(1);
});

test('the LCG streams of the reference give SciPy numbers', () => {
  const stream = (seed: number, n: number, power: number) => {
    let s = seed;
    return Float64Array.from({ length: n }, () => {
      s = (1664525 * s + 1013904223) % 2 ** 32;
      return (s / 2 ** 32) ** power;
    });
  };
  const x = stream(1, 2000, 1);
  const y = stream(2, 1500, 1.1);
  expect(x[0]).toBeCloseTo(0.23645552527, 10);
  const sd = deviation(x);
  x.sort();
  y.sort();
  const ks = kolmogorovSmirnov(x, y);
  expect(ks.statistic).toBeCloseTo(0.0345, 12);
  expect(ks.pValue).toBeCloseTo(0.254272244, 8);
  expect(normedWasserstein(x, y, sd)).toBeCloseTo(0.0556300098, 9);
});

test('distances agree with SciPy', () => {
  expect(wasserstein(a, b)).toBeCloseTo(4.1625, 12);
  expect(normedWasserstein(a, b, deviation(a))).toBeCloseTo(0.7812361058, 9);
  expect(jensenShannon(c1, c2)).toBeCloseTo(0.06804819617703867, 14);
  expect(populationStability(c1, c2)).toBeCloseTo(0.0372183816, 9);
});

test('chi-square agrees with SciPy, and a new category makes a finite, certain verdict', () => {
  const fit = chiSquare(c1, c2);
  expect(fit.statistic).toBeCloseTo(3.1746031746, 9);
  expect(fit.pValue).toBeCloseTo(0.6730876007, 9);
  const unseen = chiSquare([50, 50, 0], [40, 40, 20]);
  expect(unseen.statistic).toBeGreaterThan(100);
  expect(unseen.pValue).toBeLessThan(1e-10);
});

const sample = fc
  .array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 60 })
  .map((values) => Float64Array.from(values).sort());

test('a sample does not differ from itself, and every distance is symmetric or bounded as its definition says', () => {
  fc.assert(
    fc.property(sample, sample, (x, y) => {
      expect(wasserstein(x, x)).toBe(0);
      expect(kolmogorovSmirnov(x, x).pValue).toBeCloseTo(1, 9);
      expect(wasserstein(x, y)).toBeCloseTo(wasserstein(y, x), 4);
      const ks = kolmogorovSmirnov(x, y);
      expect(ks.statistic).toBeGreaterThanOrEqual(0);
      expect(ks.statistic).toBeLessThanOrEqual(1);
      expect(ks.pValue).toBeGreaterThanOrEqual(0);
      expect(ks.pValue).toBeLessThanOrEqual(1 + 1e-12);
    }),
  );
});

const counts = fc
  .array(fc.nat(1000), { minLength: 6, maxLength: 6 })
  .filter((list) => list.some((n) => n > 0));

test('distances of frequencies are zero for equal ones and within their bounds for any', () => {
  fc.assert(
    fc.property(counts, counts, (r, c) => {
      expect(populationStability(r, r)).toBe(0);
      expect(populationStability(r, c)).toBeGreaterThanOrEqual(0);
      const js = jensenShannon(r, c);
      expect(js).toBeGreaterThanOrEqual(0);
      expect(js).toBeLessThanOrEqual(Math.sqrt(Math.LN2) + 1e-12);
      expect(js).toBeCloseTo(jensenShannon(c, r), 12);
    }),
  );
});

test('corrections are ordered: Bonferroni is strictest, none is laxest', () => {
  const p = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(p, (pValues) => {
      const accepted = (correction: Parameters<typeof correctedThresholds>[2]) => {
        const thresholds = correctedThresholds(pValues, 0.05, correction);
        return pValues.filter((value, i) => value <= thresholds[i]!).length;
      };
      expect(accepted('bonferroni')).toBeLessThanOrEqual(accepted('benjamini-hochberg'));
      expect(accepted('benjamini-hochberg')).toBeLessThanOrEqual(accepted('none'));
    }),
  );
});
