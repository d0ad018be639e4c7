import { JobState } from '@millrace/contracts/features';
import { columnOf, type Millrace, numbersOf } from '@millrace/sdk';
import { featureNames, flightsSql, lookedUp } from '../data.ts';
import type { Dataset } from '../learn/dataset.ts';
import { resourceNames, sqlTime } from '../resources.ts';

/** A training set of the feature store, and which flights it holds. */
export interface FlightSet {
  readonly name: string;
  readonly digest: string;
  readonly rows: number;
  /** For people: `2001-04-23 .. 2001-05-14`. */
  readonly title: string;
}

/** What the `build` step leaves for the others. */
export interface Sets {
  readonly train: FlightSet;
  readonly evaluate: FlightSet;
}

const waitMs = 300_000;

/**
 * Asks the feature store for flights that departed from one time on and had landed by another, with the features as they
 * were when each was asked about, and waits until the set is there.
 */
export async function buildSet(
  { features, parent, project }: Millrace,
  from: string,
  until: string,
  requestId: string,
): Promise<FlightSet> {
  const [fromMs, untilMs] = [Date.parse(from), Date.parse(until)];
  const range = `departs_at >= TIMESTAMP '${sqlTime(fromMs)}' AND landed_at < TIMESTAMP '${sqlTime(untilMs)}'`;
  const { trainingSet } = await features.createTrainingSet({
    parent,
    trainingSet: {
      features: lookedUp,
      entityRows: {
        case: 'query',
        value: {
          source: resourceNames(project).source,
          sql: `SELECT * EXCLUDE (departs_at, landed_at, delay) FROM (${flightsSql}) WHERE ${range}`,
        },
      },
      timestampColumn: 'asked_at',
      labelColumns: ['late'],
      fullFeatureNames: true,
    },
    requestId,
  });
  for await (const { trainingSet: set } of features.watchTrainingSet(
    { name: trainingSet?.name ?? '' },
    { deadlineMs: waitMs },
  )) {
    if (set?.state === JobState.FAILED) throw new Error(`the training set failed: ${set.error?.message}`);
    if (set?.state !== JobState.SUCCEEDED) continue;
    const title = `${from.slice(0, 10)} .. ${until.slice(0, 10)}`;
    return { name: set.name, digest: set.digest, rows: Number(set.rowCount), title };
  }
  throw new Error('the training set was not finished in time');
}

/** Reads a set into memory, the model's columns in order. */
export async function readSet({ features }: Millrace, set: FlightSet): Promise<Dataset> {
  const columns = featureNames.map(() => new Float64Array(set.rows));
  const labels = new Uint8Array(set.rows);
  let at = 0;
  const wanted = [...featureNames, 'late'];
  for await (const { rows } of features.readTrainingSet(
    { name: set.name, columns: wanted },
    { deadlineMs: waitMs },
  )) {
    if (!rows) continue;
    // Models see single precision when they are served, so they learn from it too.
    for (const [c, name] of featureNames.entries())
      columns[c]?.set(numbersOf(columnOf(rows, name)).map(Math.fround), at);
    labels.set(numbersOf(columnOf(rows, 'late')), at);
    at += rows.rowCount;
  }
  return { names: featureNames, columns, labels, rowCount: at };
}
