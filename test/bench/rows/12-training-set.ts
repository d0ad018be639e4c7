import { join } from 'node:path';
import { tempDir } from '@millrace/testing';
import { viewPlan } from '../../../services/feature-store/src/domain/definition.ts';
import type { Engine } from '../../../services/feature-store/src/duckdb/engine.ts';
import { joinView } from '../../../services/feature-store/src/duckdb/point-in-time.ts';
import { micros } from '../../../services/feature-store/src/duckdb/relation.ts';
import { runSql } from '../features/duckdb.ts';
import { flightRows, flights, flightsView, startFlights } from '../features/flights.ts';
import { parent } from '../features/store.ts';
import { ask, startChild } from '../floors/child.ts';
import { atMostTimesFloor, type Row } from '../row.ts';

const entityRows = 100_000;

const trainingSet: Row = {
  name: 'training-set',
  title: 'training set: 100,000 rows joined to 3,000,000 by point in time, 8 features',
  floor: 'the same statements in DuckDB alone, with the result written as Parquet',
  rounds: 3,
  aims: [atMostTimesFloor('s', 1.5)],
  async open() {
    const folder = tempDir('millrace-bench-');
    const store = await startFlights();
    const asked = join(store.folder, 'asked.parquet');
    // Every thirtieth flight, an hour before it lands; whether it is late is the label.
    await runSql(`COPY (SELECT origin, destination, date - INTERVAL 1 HOUR AS at, delay > 15 AS late FROM
      (SELECT *, row_number() OVER () AS n FROM read_parquet('${flights.file}')) WHERE n % ${flights.rows / entityRows} = 0)
      TO '${asked}' (FORMAT parquet)`);
    await store.applySource('asked', 'asked.parquet');
    const files = [folder.path, flights.file, asked];
    const floor = await startChild(new URL('../floors/duckdb.ts', import.meta.url), files);
    const statements = await statementsOf(asked, join(folder.path, 'result.parquet'));
    return {
      async ours() {
        const begun = performance.now();
        const { rowCount } = await store.join({
          entityRows: { case: 'query', value: { source: `${parent}/sources/asked` } },
          features: ['routes:*'],
          timestampColumn: 'at',
          labelColumns: ['late'],
        });
        const s = (performance.now() - begun) / 1000;
        if (Number(rowCount) !== entityRows) throw new Error(`${rowCount} rows`);
        return { s };
      },
      floor: async () => ({ s: (await ask<number>(floor, { statements })) / 1000 }),
      async close() {
        await floor.stop();
        await store.close();
        await folder.remove();
      },
    };
  },
};

/** The statements of the join, which the feature store's own functions write. */
async function statementsOf(asked: string, result: string): Promise<readonly string[]> {
  const statements = [
    `CREATE TEMP TABLE entity_given AS SELECT row_number() OVER () AS mr_rid, * FROM read_parquet('${asked}')`,
    `CREATE TEMP TABLE entity_rows AS SELECT mr_rid, ${micros('at')} AS mr_t, origin, destination FROM entity_given`,
  ];
  const recorder = { run: async (sql: string) => void statements.push(sql) } as Engine;
  const plan = viewPlan(flightsView);
  const rows = flightRows(plan);
  await joinView(recorder, { view: flightsView, plan, wanted: new Set(flights.features), rows }, 'joined_0');
  const columns = flights.features.map((name) => `joined_0.${name}`).join(', ');
  statements.push(
    `CREATE TEMP TABLE result AS SELECT g.*, ${columns} FROM entity_given g LEFT JOIN joined_0 ON rid = mr_rid ORDER BY mr_rid`,
    `COPY result TO '${result}' (FORMAT parquet, COMPRESSION zstd)`,
  );
  return statements;
}

export const rows: readonly Row[] = [trainingSet];
