import { dirname } from 'node:path';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { AggregationFunction } from '@millrace/contracts/features';
import { parquet as file } from '../../../examples/flights/data.ts';
import type { FeatureView } from '../../../services/feature-store/src/domain/definition.ts';
import type { ViewPlan } from '../../../services/feature-store/src/domain/plan.ts';
import { readSource, viewRows } from '../../../services/feature-store/src/duckdb/relation.ts';
import { type FeatureStore, parent, startFeatures } from './store.ts';

const hourMs = 3_600_000;

/** Half a year of flights. */
export const flights = {
  file,
  rows: 3_000_000,
  end: new Date('2001-07-01T00:00:00Z'),
  /** Eight features of a route: two plain ones, and six over windows from three hours to half a year. */
  features: [
    'distance',
    'last_delay',
    'flights_3h',
    'delay_3h',
    'flights_24h',
    'delay_24h',
    'worst_7d',
    'delay_183d',
  ],
} as const;

const aggregations = [
  ['flights_3h', 'COUNT', '', 3],
  ['delay_3h', 'MEAN', 'delay', 3],
  ['flights_24h', 'COUNT', '', 24],
  ['delay_24h', 'MEAN', 'delay', 24],
  ['worst_7d', 'MAX', 'delay', 7 * 24],
  ['delay_183d', 'MEAN', 'delay', 183 * 24],
] as const;

/** The view as the feature store keeps it. */
export const flightsView: FeatureView = {
  ...{ project: 'default', view: 'routes', uid: 'bench', entities: [], source: '', sql: '' },
  ...{ timestampColumn: 'date', createdColumn: '', ttlUs: 0, description: '', tags: [] },
  features: [
    { name: 'distance', column: 'distance', description: '', type: 'int64' },
    { name: 'last_delay', column: 'delay', description: '', type: 'int64' },
  ],
  aggregations: aggregations.map(([name, fn, column, hours]) => ({
    ...{ name, column, windowUs: hours * hourMs * 1000, places: null, description: '' },
    fn: fn === 'COUNT' ? 'count' : fn === 'MAX' ? 'max' : 'mean',
  })),
  columns: [
    { name: 'date', type: 'timestamp' },
    { name: 'delay', type: 'int64' },
    { name: 'distance', type: 'int64' },
    { name: 'origin', type: 'string' },
    { name: 'destination', type: 'string' },
  ],
  version: 1,
  joinKeys: [
    { name: 'origin', type: 'string' },
    { name: 'destination', type: 'string' },
  ],
  materializedUs: null,
};

/** The SELECT of the view's rows, as the feature store writes it. */
export function flightRows(plan: ViewPlan): string {
  const { columns } = flightsView;
  return viewRows(
    flightsView,
    plan,
    readSource({ name: 'flights', file, format: 'parquet', csvDelimiter: '', columns }),
  );
}

/** A feature store with the view `routes` over the flights. */
export async function startFlights(): Promise<FeatureStore> {
  const store = await startFeatures(dirname(file));
  await store.applyEntity('route', 'origin', 'destination');
  await store.applySource('flights', file);
  await store.applyView('routes', {
    entities: [`${parent}/entities/route`],
    source: `${parent}/sources/flights`,
    timestampColumn: 'date',
    features: flightsView.features.map(({ name, column }) => ({ name, column })),
    aggregations: aggregations.map(([name, fn, column, hours]) => ({
      ...{ name, column, window: durationFromMs(hours * hourMs) },
      function: AggregationFunction[fn],
    })),
  });
  return store;
}
