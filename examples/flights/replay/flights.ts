import { DuckDBInstance } from '@duckdb/node-api';
import { flightsSql, parquet } from '../data.ts';
import { sqlTime } from '../resources.ts';

/** A flight as the replay sees it; all times in milliseconds since 1970, UTC. */
export interface Flight {
  readonly origin: string;
  readonly route: string;
  readonly distance: number;
  readonly hour: number;
  readonly weekday: number;
  /** When its prediction is asked for. */
  readonly askedMs: number;
  /** When its delay is known. */
  readonly landedMs: number;
  /** In minutes. */
  readonly delay: number;
  readonly late: boolean;
}

/** Flights that land from one time on and are asked about before another, by the time they land. */
export async function readFlights(fromMs: number, untilMs: number): Promise<readonly Flight[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const sql = `
    SELECT origin, route, distance, hour, weekday, epoch_ms(asked_at)::DOUBLE, epoch_ms(landed_at)::DOUBLE, delay, late
    FROM (${flightsSql.replace('FROM source\nWHERE', `FROM '${parquet}'\nWHERE`).replace('FROM source GROUP', `FROM '${parquet}' GROUP`)})
    WHERE landed_at >= TIMESTAMP '${sqlTime(fromMs)}' AND asked_at < TIMESTAMP '${sqlTime(untilMs)}'
    ORDER BY landed_at, route, departs_at`;
  const rows = (await connection.runAndReadAll(sql)).getRowsJS() as unknown as readonly Row[];
  connection.closeSync();
  instance.closeSync();
  return rows.map(([origin, route, distance, hour, weekday, askedMs, landedMs, delay, late]) => ({
    origin,
    route,
    distance,
    hour,
    weekday,
    askedMs,
    landedMs,
    delay,
    late,
  }));
}

type Row = [string, string, number, number, number, number, number, number, boolean];
