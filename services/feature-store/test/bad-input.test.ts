import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ColumnType } from '@millrace/contracts/common';
import { AggregationFunction, SourceFormat } from '@millrace/contracts/features';
import { startNats, type TestNats } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  hour,
  ints,
  parent,
  prepare,
  readings,
  startStore,
  strings,
  type TestStore,
  times,
  type ViewChange,
} from './harness.ts';

let nats: TestNats;
let store: TestStore;
beforeAll(async () => {
  nats = await startNats();
  store = await startStore(nats.url);
  await prepare(store);
  await store.client.applyFeatureView({ featureView: readings() });
});
afterAll(async () => {
  await store.close();
  await nats.kill();
});

/** The call is refused as invalid, with a violation at the field. */
async function refused(call: Promise<unknown>, field: string) {
  const error = await call.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error, `no refusal of ${field}`).toMatchObject({ kind: 'invalid_argument' });
  const { violations } = error as { violations: readonly { field: string }[] };
  expect(violations.map((v) => v.field)).toContain(field);
}

describe('paths of sources', () => {
  const apply = (path: string, format: SourceFormat = SourceFormat.CSV) =>
    store.client.applySource({
      source: { name: `${parent}/sources/x`, location: { case: 'path', value: path }, format },
    });

  it('lead nowhere but below the allowed folders', async () => {
    const secret = join(store.dir, 'secret.csv');
    writeFileSync(secret, 'a,b\n1,2\n');
    symlinkSync(secret, join(store.roots, 'link.csv'));
    mkdirSync(join(store.roots, 'folder.csv'));
    const paths = [
      '../secret.csv',
      secret,
      'link.csv',
      'folder.csv',
      '/etc/passwd',
      '*.csv',
      'l?g.csv',
      'log.csv\u0001',
      '.',
      'none.csv',
      'a/../../secret.csv',
      'http://h/x.csv',
      's3://b/x.csv',
      'log.csv/',
    ];
    for (const path of paths) await refused(apply(path), 'source.path');
    await refused(apply('log.csv\0'), 'source.path');
  });

  it('have the extension and the content of their format', async () => {
    writeFileSync(join(store.roots, 'fake.parquet'), 'PAR1 is not enough');
    writeFileSync(join(store.roots, 'broken.parquet'), `PAR1${'x'.repeat(64)}PAR1`);
    writeFileSync(join(store.roots, 'binary.csv'), Buffer.from([1, 0, 2]));
    writeFileSync(join(store.roots, 'list.jsonl'), '[1,2]\n');
    writeFileSync(join(store.roots, 'bad.jsonl'), '{"a":1}\n{"a":\n');
    await refused(apply('log.csv', SourceFormat.PARQUET), 'source.path');
    await refused(apply('fake.parquet', SourceFormat.PARQUET), 'source.path');
    await refused(apply('broken.parquet', SourceFormat.PARQUET), 'source');
    await refused(apply('binary.csv'), 'source.path');
    await refused(apply('list.jsonl', SourceFormat.JSON_LINES), 'source.path');
    await refused(apply('bad.jsonl', SourceFormat.JSON_LINES), 'source');
  });

  it('or digests of what was uploaded', async () => {
    const source = { name: `${parent}/sources/x`, format: SourceFormat.CSV };
    const digest = `sha256:${'0'.repeat(64)}`;
    await refused(
      store.client.applySource({ source: { ...source, location: { case: 'digest', value: digest } } }),
      'source.digest',
    );
    await refused(store.client.applySource({ source }), 'source.path');
    async function* upload() {
      yield { parent, data: Buffer.from('{"machine":"m1",') };
      yield { data: Buffer.from('"n":1}\n') };
    }
    const stored = await store.client.uploadSource(upload());
    const location = { case: 'digest' as const, value: stored.digest };
    const applied = await store.client.applySource({
      source: { ...source, location, format: SourceFormat.JSON_LINES },
    });
    expect(applied.source!.columns.map((c) => [c.name, c.type])).toEqual([
      ['machine', ColumnType.STRING],
      ['n', ColumnType.INT64],
    ]);
  });
});

describe('transformations', () => {
  const apply = (sql: string, more = {}) => {
    const view = readings({
      name: `${parent}/featureViews/t`,
      source: `${parent}/sources/log`,
      sql,
      ...more,
    });
    return store.client.applyFeatureView({ featureView: view });
  };

  it('are single SELECTs over the source, with functions that always give the same answer', async () => {
    const refusals = [
      'select (',
      '',
      'select 1; select 2',
      "attach 'x' as y",
      "copy source to '/tmp/x.csv'",
      'pragma version',
      'set threads = 1',
      'install httpfs',
      "select * from '/etc/passwd'",
      "select * from read_csv('/etc/passwd')",
      "select * from read_text('log.csv')",
      'select * from duckdb_settings()',
      'select * from information_schema.tables',
      "select getenv('HOME')",
      'select random() from source',
      'select now() from source',
      'select current_date from source',
      'select * from source using sample 5',
      "select * from query('select 1')",
      'describe source',
      'drop table source',
      'create table x as select 1',
      'select nothing from source',
      'select machine + 1 from source',
      "select nextval('s')",
      'select sleep_ms(1) from source',
      "from glob('*')",
      'call pragma_version()',
      'explain select 1',
      "select * from (select * from '/etc/hosts') t",
      "with source2 as (select * from 'x.csv') select * from source2",
      "export database 'x'",
      'vacuum',
      'select mr_units(1, 1)',
      "select current_setting('threads')",
      'insert into source values (1)',
    ];
    for (const sql of refusals.filter((s) => s !== '')) await refused(apply(sql), 'feature_view.sql');
    const { featureView } = await apply('select *, reading * 2 as double_reading from source -- fine');
    expect(featureView!.columns.map((c) => c.name)).toContain('double_reading');
  });

  it('must give the columns that the view names, with their types', async () => {
    await refused(apply('select machine, reading from source'), 'feature_view.timestamp_column');
    await refused(apply('select machine, reading, 1 as seen from source'), 'feature_view.timestamp_column');
    await refused(apply('select 1 as machine, seen, reading from source'), 'feature_view.entities[0]');
    await refused(apply('select machine, seen from source'), 'feature_view.features[0].column');
    await refused(
      apply("select machine, seen, 'x' as reading from source"),
      'feature_view.aggregations[1].column',
    );
    await refused(
      apply('select machine, seen, [1] as reading from source'),
      'feature_view.features[0].column',
    );
  });
});

it('views name what there is, once, with windows that are multiples of their hop', async () => {
  const apply = (more: ViewChange) =>
    store.client.applyFeatureView({ featureView: readings({ name: `${parent}/featureViews/w`, ...more }) });
  const n = { name: 'n', function: AggregationFunction.COUNT };
  for (const seconds of [0n, 299n, 301n, -300n, 43_500n, 400n * 86_400n, 2n ** 62n]) {
    const call = apply({ aggregations: [{ ...n, window: { seconds } }] });
    await expect(call).rejects.toMatchObject({ kind: 'invalid_argument' });
  }
  await refused(apply({ name: `${parent}/featureViews/a b` }), 'feature_view.name');
  await refused(apply({ entities: [`${parent}/entities/none`] }), 'feature_view.entities[0]');
  await refused(apply({ entities: ['projects/other/entities/machine'] }), 'feature_view.entities[0]');
  await refused(apply({ source: `${parent}/sources/none` }), 'feature_view.source');
  await refused(apply({ columns: [] }), 'feature_view.columns');
  await refused(
    apply({ features: [{ name: 'n_1h', column: 'reading' }] }),
    'feature_view.aggregations[0].name',
  );
  await refused(apply({ features: [{ name: 'machine' }] }), 'feature_view.features[0].name');
  await refused(apply({ features: [], aggregations: [] }), 'feature_view.features');
  await refused(
    apply({ aggregations: [{ name: 's', function: AggregationFunction.SUM, window: hour }] }),
    'feature_view.aggregations[0].column',
  );
  await refused(apply({ etag: 'x' }), 'feature_view.etag');
  await expect(store.client.deleteEntity({ name: `${parent}/entities/machine` })).rejects.toMatchObject({
    code: 'ENTITY_IN_USE',
  });
});

it('pushed rows fit the view', async () => {
  const view = readings().name;
  const machine = strings('machine', ['m1']);
  const seen = times('seen', [1]);
  const push = (rows: { rowCount: number; columns: ReturnType<typeof strings>[] }) =>
    store.client.pushRows({ view, rows });
  await refused(push({ rowCount: 1, columns: [seen] }), 'rows.columns');
  await refused(push({ rowCount: 2, columns: [machine, seen] }), 'rows.columns[0].strings');
  await refused(push({ rowCount: 1, columns: [machine, machine, seen] }), 'rows.columns[1].name');
  await refused(
    push({ rowCount: 1, columns: [machine, seen, strings('other', ['x'])] }),
    'rows.columns[2].name',
  );
  await refused(
    push({ rowCount: 1, columns: [machine, seen, strings('reading', ['x'])] }),
    'rows.columns[2].type',
  );
  await refused(
    push({ rowCount: 1, columns: [{ ...machine, validity: Uint8Array.of(0) }, seen] }),
    'rows.columns[0].validity',
  );
  await refused(
    push({ rowCount: 1, columns: [machine, { ...seen, int64s: [2n ** 62n] }] }),
    'rows.columns[1].int64s',
  );
  await refused(push({ rowCount: 4_000_000_000, columns: [] }), 'rows.row_count');
});

it('reads name features and keys that there are', async () => {
  const keys = { rowCount: 1, columns: [strings('machine', ['m1'])] };
  const read = (more: object) =>
    store.client.getOnlineFeatures({ parent, features: ['readings:last'], keys, ...more });
  await refused(read({ features: ['readings'] }), 'features[0]');
  await refused(read({ features: ['none:last'] }), 'features[0]');
  await refused(read({ features: ['readings:none'] }), 'features[0]');
  await refused(read({ features: ['readings:last', 'readings:*'] }), 'features[1]');
  await refused(read({ keys: { rowCount: 1, columns: [ints('machine', [1])] } }), 'keys.columns');
  await refused(read({ keys: { rowCount: 1, columns: [] } }), 'keys.columns');
  await refused(read({ atColumn: 'machine' }), 'at_column');
  await refused(read({ at: { seconds: 10n ** 11n } }), 'at');
});

it('training sets name columns and features that there are', async () => {
  const columns = [strings('machine', ['m1']), times('at', [1])];
  const create = (more: object) =>
    store.client.createTrainingSet({
      parent,
      trainingSet: {
        ...{ features: ['readings:last'], timestampColumn: 'at' },
        entityRows: { case: 'rows', value: { rowCount: 1, columns } },
        ...more,
      },
    });
  await refused(create({ timestampColumn: 'machine' }), 'training_set.timestamp_column');
  await refused(create({ labelColumns: ['late'] }), 'training_set.label_columns[0]');
  await refused(create({ features: ['readings:none'] }), 'training_set.features[0]');
  await refused(create({ entityRows: { case: undefined } }), 'training_set.rows');
  const query = { source: `${parent}/sources/log`, sql: "select * from '/etc/passwd'" };
  await refused(create({ entityRows: { case: 'query', value: query } }), 'training_set.query.sql');
  await refused(
    create({ entityRows: { case: 'rows', value: { rowCount: 1, columns: [times('at', [1])] } } }),
    'training_set.entity_rows',
  );
  await refused(
    create({
      features: ['readings:last'],
      entityRows: { case: 'rows', value: { rowCount: 1, columns: [...columns, ints('last', [1])] } },
    }),
    'training_set.features[0]',
  );
  await expect(store.client.getTrainingSet({ name: `${parent}/trainingSets/none` })).rejects.toMatchObject({
    kind: 'not_found',
  });
});
