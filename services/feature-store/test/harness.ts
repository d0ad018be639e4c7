import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { loadSettings } from '@millrace/config';
import { type ColumnSchema, ColumnType } from '@millrace/contracts/common';
import {
  AggregationFunction,
  FeatureStoreService,
  JobState,
  SourceFormat,
} from '@millrace/contracts/features';
import { createClient, grpcTransport, silent } from '@millrace/rpc';
import { startService } from '@millrace/service';
import { tempDir } from '@millrace/testing';
import { settings } from '../src/config.ts';
import type { EngineOptions } from '../src/duckdb/engine.ts';
import { createProcesses } from '../src/duckdb/processes.ts';
import { build } from '../src/wiring.ts';

export const parent = 'projects/default';

/** Options of an engine that works in a folder. */
export const engineIn = (workDir: string): EngineOptions => ({
  ...{ workDir, memoryMb: 512, diskMb: 1024, threads: 2 },
  processes: createProcesses(),
});
export const hour = { seconds: 3600n };

const log = { ...silent, child: () => log } as Parameters<typeof startService>[1]['log'];

/** The service in this process behind a real server, on a real NATS, with its own folder. */
export async function startStore(natsUrl: string, env: Readonly<Record<string, string>> = {}) {
  const dir = tempDir();
  const roots = join(dir.path, 'roots');
  mkdirSync(roots);
  const config = loadSettings(settings, {
    DATA_DIR: join(dir.path, 'data'),
    NATS_URL: natsUrl,
    SOURCE_ROOTS: roots,
    ...env,
  });
  const service = await startService(
    { name: 'feature-store', context: 'features', settings, build },
    { config, log },
  );
  const transport = grpcTransport({ address: service.address });
  const client = createClient(FeatureStoreService, transport, { deadlineMs: 30_000 });
  return {
    client,
    dir: dir.path,
    roots,
    address: service.address,
    close: async () => {
      transport.close();
      await service.stop();
      await dir.remove();
    },
  };
}

export type TestStore = Awaited<ReturnType<typeof startStore>>;
export type TestClient = TestStore['client'];

type ColumnInit = MessageInitShape<typeof ColumnSchema>;

export const strings = (name: string, values: readonly string[]): ColumnInit => ({
  ...{ name, type: ColumnType.STRING, strings: [...values] },
});
export const ints = (name: string, values: readonly number[]): ColumnInit => ({
  ...{ name, type: ColumnType.INT64, int64s: values.map(BigInt) },
});
export const times = (name: string, us: readonly number[]): ColumnInit => ({
  ...{ name, type: ColumnType.TIMESTAMP, int64s: us.map(BigInt) },
});
export const doubles = (name: string, values: readonly (number | null)[]): ColumnInit => ({
  ...{ name, type: ColumnType.DOUBLE, doubles: values.map((v) => v ?? 0) },
  validity: bits(values.map((v) => v !== null)),
});

function bits(set: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(set.length / 8));
  set.forEach((on, i) => {
    if (on) bytes[i >> 3] = bytes[i >> 3]! | (1 << (i & 7));
  });
  return bytes;
}

export interface ViewChange {
  readonly name?: string;
  readonly entities?: string[];
  readonly source?: string;
  readonly sql?: string;
  readonly etag?: string;
  readonly columns?: { name: string; type: ColumnType }[];
  readonly features?: { name: string; column?: string }[];
  readonly aggregations?: {
    name: string;
    function: AggregationFunction;
    column?: string;
    window: { seconds: bigint };
  }[];
}

/** A view over `machine` with plain and window features of `reading`. */
export const readings = (more: ViewChange = {}) => ({
  name: `${parent}/featureViews/readings`,
  entities: [`${parent}/entities/machine`],
  timestampColumn: 'seen',
  ttl: { seconds: 7200n },
  features: [{ name: 'last', column: 'reading' }],
  aggregations: [
    { name: 'n_1h', function: AggregationFunction.COUNT, window: hour },
    { name: 'mean_3h', function: AggregationFunction.MEAN, column: 'reading', window: { seconds: 10_800n } },
    { name: 'max_24h', function: AggregationFunction.MAX, column: 'reading', window: { seconds: 86_400n } },
    { name: 'sd_24h', function: AggregationFunction.STDDEV, column: 'reading', window: { seconds: 86_400n } },
  ],
  columns: [
    { name: 'machine', type: ColumnType.STRING },
    { name: 'seen', type: ColumnType.TIMESTAMP },
    { name: 'reading', type: ColumnType.DOUBLE },
  ],
  ...more,
});

/** Applies the entity `machine`, and a CSV source `log` with the given lines below its header. */
export async function prepare(store: TestStore, lines: readonly string[] = ['m1,2001-06-01 00:00:00,1.5']) {
  writeFileSync(join(store.roots, 'log.csv'), ['machine,seen,reading', ...lines, ''].join('\n'));
  const joinKeys = [{ name: 'machine', type: ColumnType.STRING }];
  await store.client.applyEntity({ entity: { name: `${parent}/entities/machine`, joinKeys } });
  await store.client.applySource({
    source: {
      name: `${parent}/sources/log`,
      location: { case: 'path', value: 'log.csv' },
      format: SourceFormat.CSV,
    },
  });
}

/** Runs a materialization to its end and returns it. */
export async function materialize(client: TestClient, end: number, more: { full?: boolean } = {}) {
  const made = await client.createMaterialization({
    parent,
    materialization: { view: readings().name, endTime: { seconds: BigInt(Math.floor(end / 1e6)) }, ...more },
  });
  for await (const { materialization } of client.watchMaterialization({ name: made.materialization!.name })) {
    if (materialization!.state === JobState.SUCCEEDED) return materialization!;
    if (materialization!.state === JobState.FAILED) throw new Error(materialization!.error?.message);
  }
  throw new Error('the watch ended early');
}

/** Asks for features of machines at times through a training set; one list of values for each feature. */
export async function offline(client: TestClient, machines: readonly string[], at: readonly number[]) {
  const made = await client.createTrainingSet({
    parent,
    trainingSet: {
      features: ['readings:*'],
      timestampColumn: 'at',
      entityRows: {
        case: 'rows',
        value: { rowCount: at.length, columns: [strings('machine', machines), times('at', at)] },
      },
    },
  });
  const { name } = made.trainingSet!;
  for await (const { trainingSet } of client.watchTrainingSet({ name })) {
    if (trainingSet!.state === JobState.FAILED) throw new Error(trainingSet!.error?.message);
  }
  const columns = new Map<string, unknown[]>();
  for await (const { rows } of client.readTrainingSet({ name, batchRows: 7 })) {
    for (const column of rows!.columns) {
      const all = columns.get(column.name) ?? [];
      columns.set(column.name, [...all, ...valuesOf(column)]);
    }
  }
  return { name, columns };
}

/** The values of a column, null where it has none. */
export function valuesOf(column: {
  readonly validity: Uint8Array;
  readonly bools: readonly boolean[];
  readonly int64s: readonly bigint[];
  readonly doubles: readonly number[];
  readonly strings: readonly string[];
}): readonly unknown[] {
  const list = [column.bools, column.int64s, column.doubles, column.strings].find((l) => l.length > 0) ?? [];
  const valid = (i: number) =>
    column.validity.length === 0 || ((column.validity[i >> 3]! >> (i & 7)) & 1) === 1;
  return list.map((value, i) => (valid(i) ? value : null));
}

/** Asks the online store for all features of machines at times. */
export async function online(client: TestClient, machines: readonly string[], at: readonly number[]) {
  const answer = await client.getOnlineFeatures({
    parent,
    features: ['readings:*'],
    atColumn: 'at',
    keys: { rowCount: at.length, columns: [strings('machine', machines), times('at', at)] },
  });
  const entries = answer.features.map((f) => [f.values!.name, valuesOf(f.values!), f] as const);
  return {
    columns: new Map(entries.map(([name, values]) => [name, values])),
    statuses: new Map(entries.map(([name, , f]) => [name, f.statuses])),
    times: new Map(entries.map(([name, , f]) => [name, f.eventTimes.map(Number)])),
  };
}
