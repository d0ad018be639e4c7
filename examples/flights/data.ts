import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * 3,000,000 US domestic flights of January to June 2001, as the Bureau of Transportation Statistics published them
 * and the npm package vega-datasets ships them: date (of departure), delay (minutes), distance (miles), origin, destination.
 */
export const parquet = join(
  fileURLToPath(import.meta.resolve('vega-datasets')),
  '../../data/flights-3m.parquet',
);

/** How many of the busiest airports are looked at. */
const hubCount = 30;
/** A flight is late when it is more than this many minutes late. */
const lateMinutes = 15;
/** Predictions are asked for at the last full ten minutes before departure. */
export const tickMinutes = 10;

/**
 * Flights between the busiest airports, cleaned, as a SELECT over a table `source` of the file's columns. `landed_at` is
 * when the delay is known: departure, flying time at 450 mph with half an hour on the ground, and the delay itself.
 * Delays are cut at half an hour early and three hours late, so that one stranded flight does not rule a mean.
 */
export const flightsSql = `
WITH hubs AS (SELECT origin AS hub FROM source GROUP BY origin ORDER BY count(*) DESC, origin LIMIT ${hubCount})
SELECT
  origin,
  origin || '-' || destination AS route,
  CAST(distance AS DOUBLE) AS distance,
  hour(date) + minute(date) / 60.0 AS hour,
  CAST(isodow(date) AS DOUBLE) AS weekday,
  time_bucket(INTERVAL ${tickMinutes} MINUTE, date - INTERVAL 1 MICROSECOND) AS asked_at,
  date AS departs_at,
  date + to_minutes(CAST(round(30 + distance / 7.5 + greatest(delay, -30)) AS BIGINT)) AS landed_at,
  CAST(greatest(least(delay, 180), -30) AS DOUBLE) AS delay,
  delay > ${lateMinutes} AS late
FROM source
WHERE origin IN (SELECT hub FROM hubs) AND destination IN (SELECT hub FROM hubs)`;

/** The feature views, each by the key of its rows. */
export const views = { origin_delays: 'origin', route_delays: 'route' } as const;

const windows = { '1h': 3600, '3h': 3 * 3600, '24h': 24 * 3600 } as const;

/** The windowed features of a view: how many flights landed, what share was late, how late they were on average. */
export const windowed = Object.entries(windows).flatMap(
  ([suffix, seconds]) =>
    [
      { name: `flights_${suffix}`, function: 'count', column: '', seconds },
      { name: `late_share_${suffix}`, function: 'mean', column: 'late_number', seconds },
      { name: `mean_delay_${suffix}`, function: 'mean', column: 'delay', seconds },
    ] as const,
);

/** The features looked up in the feature store, as `view:feature`. */
export const lookedUp = Object.keys(views).flatMap((view) => windowed.map(({ name }) => `${view}:${name}`));

/** What is known of a flight without looking anything up. */
export const ownColumns = ['distance', 'hour', 'weekday'] as const;

/** The model's columns, in order. */
export const featureNames = [...ownColumns, ...lookedUp.map((feature) => feature.replace(':', '__'))];
