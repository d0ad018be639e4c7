import { create, toBinary } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { ColumnType } from '@millrace/contracts/common';
import {
  AggregationFunction,
  FeatureStoreService,
  GetOnlineFeaturesRequestSchema,
} from '@millrace/contracts/features';
import { runSql } from '../features/duckdb.ts';
import { type FeatureStore, parent, startFeatures } from '../features/store.ts';
import { startEcho } from '../floors/echo.ts';
import { closedLoop } from '../load/closed.ts';
import { atMostTimesFloor, type Row } from '../row.ts';

const seconds = 3;
/** So many requests are made beforehand, each of other keys. */
const requestCount = 500;

interface Table {
  readonly view: string;
  readonly keys: number;
  readonly rowsPerKey: number;
  /** Plain features: two whole numbers and a text, the others floating. */
  readonly plain: number;
  readonly windows: number;
}

const narrow: Table = { view: 'narrow', keys: 10_000, rowsPerKey: 5, plain: 6, windows: 4 };
const wide: Table = { view: 'wide', keys: 2_000, rowsPerKey: 1, plain: 250, windows: 0 };

const windowFunctions = ['COUNT', 'SUM', 'MEAN', 'MAX'] as const;

/** Makes a file of rows of the last hour, and brings it into the online store. */
async function fill(store: FeatureStore, { view, keys, rowsPerKey, plain, windows }: Table): Promise<void> {
  const columns = Array.from({ length: plain }, (_, i) => {
    if (i === 1) return `(i * 7919) % 1000 AS f${i}`;
    if (i === 2) return `'group ' || (i % 20) AS f${i}`;
    return `random() * 100 AS f${i}`;
  });
  await runSql(`COPY (SELECT 'user-' || (i % ${keys}) AS user,
    (now()::TIMESTAMP - to_seconds((i * 31) % 3600)) AS seen, ${columns.join(', ')}
    FROM range(${keys * rowsPerKey}) r(i)) TO '${store.folder}/${view}.parquet' (FORMAT parquet)`);
  await store.applySource(view, `${view}.parquet`);
  await store.applyView(view, {
    entities: [`${parent}/entities/user`],
    source: `${parent}/sources/${view}`,
    timestampColumn: 'seen',
    features: Array.from({ length: plain }, (_, i) => ({ name: `f${i}` })),
    aggregations: Array.from({ length: windows }, (_, i) => ({
      name: `w${i}`,
      function: AggregationFunction[windowFunctions[i % windowFunctions.length]!],
      column: 'f0',
      window: durationFromMs((i % 2 === 0 ? 2 : 24) * 3_600_000),
    })),
  });
  await store.materialize(view);
}

const request = (view: string, users: readonly string[]) =>
  toBinary(
    GetOnlineFeaturesRequestSchema,
    create(GetOnlineFeaturesRequestSchema, {
      parent,
      features: [`${view}:*`],
      keys: {
        rowCount: users.length,
        columns: [{ name: 'user', type: ColumnType.STRING, strings: [...users] }],
      },
    }),
  );

const online = (
  name: string,
  title: string,
  table: Table,
  keysAtOnce: number,
  explanation?: string,
): Row => ({
  name,
  title,
  floor: 'bare grpc-js echo of the same bytes, 1 in flight',
  aims: [atMostTimesFloor('p50 ms', 2)],
  ...(explanation ? { explanation } : {}),
  async open() {
    const store = await startFeatures();
    const echo = await startEcho();
    await store.applyEntity('user', 'user');
    await fill(store, table);
    const requests = Array.from({ length: requestCount }, (_, r) => {
      const first = (r * 7919) % table.keys;
      const users = Array.from({ length: keysAtOnce }, (_, k) => `user-${(first + k * 17) % table.keys}`);
      return request(table.view, users);
    });
    const method = FeatureStoreService.method.getOnlineFeatures;
    const path = `/${FeatureStoreService.typeName}/${method.name}`;
    const read = (bytes: Uint8Array) => {
      const call = { method, path, deadlineMs: Date.now() + 30_000, signal: undefined, metadata: {} };
      return store.transport.unary(call, bytes);
    };
    const answerBytes = (await read(requests[0]!)).length;
    return {
      async ours() {
        const call = (n: number) => read(requests[n % requestCount]!);
        const { p50, p99 } = await closedLoop({ inFlight: 1, seconds, call });
        return { 'p50 ms': p50, 'p99 ms': p99 };
      },
      async floor() {
        const call = () => echo.unary(requests[0]!.length, answerBytes);
        const { p50, p99 } = await closedLoop({ inFlight: 1, seconds, call });
        return { 'p50 ms': p50, 'p99 ms': p99 };
      },
      async close() {
        await echo.close();
        await store.close();
      },
    };
  },
});

const oneKey =
  'with one call in flight every turn of the event loop is waited for: the service was idle two thirds of the time. Of its busy time 27 % was the handler (4 % asking SQLite whether another process wrote), 6 % the RPC layer, and most of the rest what the echo does as well';
const manyKeys =
  'of the time that the handler took, reading the values of each key was 69 % (windows 35 %), writing the answer 16 %';
const manyValues =
  'of the time that the handler took, writing 250 vectors as bytes was 54 %, collecting their 25,000 values 28 %';

export const rows: readonly Row[] = [
  online('online-reads-1x10', 'GetOnlineFeatures, 1 key x 10 features', narrow, 1, oneKey),
  online('online-reads-100x10', 'GetOnlineFeatures, 100 keys x 10 features', narrow, 100, manyKeys),
  online('online-reads-100x250', 'GetOnlineFeatures, 100 keys x 250 features', wide, 100, manyValues),
];
