import { maxUnits } from '../domain/exact.ts';

const p40 = '1099511627776';
const p80 = '1208925819614629174706176';

/**
 * The arithmetic of windows in SQL, operation by operation that of ../domain/exact.ts and ../domain/aggregate.ts, so that
 * training sets and online answers agree to the last bit.
 */
export const macros: readonly string[] = [
  // unitsOf: NaN is the greatest number in DuckDB, so it fails the comparison as infinities do.
  `CREATE MACRO mr_units(x, scale) AS CASE WHEN abs(floor(x * scale + 0.5)) <= ${maxUnits}::DOUBLE
     THEN floor(x * scale + 0.5)::BIGINT END`,
  // toDouble, by limbs.
  `CREATE MACRO mr_size(v) AS ((v // ${p80}::HUGEINT)::DOUBLE * ${p40}::DOUBLE * ${p40}::DOUBLE)
     + (((v // ${p40}::HUGEINT) % ${p40}::HUGEINT)::DOUBLE * ${p40}::DOUBLE) + (v % ${p40}::HUGEINT)::DOUBLE`,
  'CREATE MACRO mr_double(v) AS CASE WHEN v < 0 THEN -mr_size(-v) ELSE mr_size(v) END',
  'CREATE MACRO mr_sum(n, s, scale) AS CASE WHEN n > 0 THEN mr_double(s) / scale END',
  'CREATE MACRO mr_mean(n, s, scale) AS CASE WHEN n > 0 THEN mr_double(s) / n::DOUBLE / scale END',
  `CREATE MACRO mr_stddev(n, s, q, scale) AS CASE WHEN n < 2 THEN NULL
     WHEN mr_double(q) * n::DOUBLE < ${2 ** 126}::DOUBLE
       THEN sqrt(mr_double(n::HUGEINT * q - s * s) / (n::DOUBLE * (n - 1)::DOUBLE)) / scale
     ELSE sqrt(greatest(0::DOUBLE, (mr_double(q) - mr_double(s) * (mr_double(s) / n::DOUBLE)) / (n - 1)::DOUBLE)) / scale END`,
  // floorTo and ceilTo of ../domain/time.ts, on whole numbers.
  'CREATE MACRO mr_floor(us, hop) AS us - (((us % hop) + hop) % hop)',
  'CREATE MACRO mr_ceil(us, hop) AS CASE WHEN us % hop = 0 THEN us ELSE mr_floor(us, hop) + hop END',
];
