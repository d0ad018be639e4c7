import { tempDir } from '@millrace/testing';
import { viewPlan } from '../../../services/feature-store/src/domain/definition.ts';
import { batchRowsSql } from '../../../services/feature-store/src/duckdb/batch-rows.ts';
import { flightRows, flights, flightsView, startFlights } from '../features/flights.ts';
import { ask, startChild } from '../floors/child.ts';
import { atMostTimesFloor, type Row } from '../row.ts';

const materialize: Row = {
  name: 'materialize',
  title: 'materialization of 3,000,000 rows, 3,399 keys, 8 features',
  floor: 'the same query in DuckDB alone, its rows fetched and not looked at',
  rounds: 3,
  aims: [atMostTimesFloor('s', 1.5)],
  explanation:
    'all rows cross to the service, which makes the tiles: of its busy time rows to tiles take a third, garbage 12 %, grouping by key 9 %, parsing what comes from DuckDB 9 %',
  async open() {
    const folder = tempDir('millrace-bench-');
    const store = await startFlights();
    const floor = await startChild(new URL('../floors/duckdb.ts', import.meta.url), [
      folder.path,
      flights.file,
    ]);
    const plan = viewPlan(flightsView);
    const rows = flightRows(plan);
    const range = { unreadUs: Number.NEGATIVE_INFINITY, endUs: flights.end.getTime() * 1000 };
    const statements = [batchRowsSql(flightsView, plan, rows, range)];
    return {
      async ours() {
        const begun = performance.now();
        const { rowsRead, keysWritten } = await store.materialize('routes', flights.end);
        const s = (performance.now() - begun) / 1000;
        if (Number(rowsRead) !== flights.rows) throw new Error(`${rowsRead} rows for ${keysWritten} keys`);
        return { s };
      },
      floor: async () => ({
        s: (await ask<number>(floor, { statements, read: 'SELECT * FROM batch_rows' })) / 1000,
      }),
      async close() {
        await floor.stop();
        await store.close();
        await folder.remove();
      },
    };
  },
};

export const rows: readonly Row[] = [materialize];
