import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { infer, type Millrace, type TensorInput, toBatch } from '@millrace/sdk';
import { ownColumns, views } from '../data.ts';
import { resourceNames } from '../resources.ts';
import type { Flight } from './flights.ts';
import { insist } from './patience.ts';

/** What the replay counts. */
export interface Counts {
  predictions: number;
  requests: number;
  /** Requests that were not answered the first time. */
  failures: number;
  pushed: number;
  labels: number;
  /** How long each request took, in milliseconds. */
  readonly latenciesMs: number[];
  /** Predictions by the model version that made them. */
  readonly byVersion: Map<string, number>;
}

export function startCounts(): Counts {
  return {
    predictions: 0,
    requests: 0,
    failures: 0,
    pushed: 0,
    labels: 0,
    latenciesMs: [],
    byVersion: new Map(),
  };
}

const deadlineMs = 10_000;

/** Tells the feature store which flights have landed. The same tick again changes nothing. */
export async function pushLandings(
  millrace: Millrace,
  landed: readonly Flight[],
  tickMs: number,
  counts: Counts,
): Promise<void> {
  if (landed.length === 0) return;
  await Promise.all(
    Object.entries(views).map(([view, key]) => {
      const rows = toBatch({
        [key]: { type: 'string', values: landed.map((flight) => flight[key]) },
        landed_at: { type: 'timestamp', values: landed.map((flight) => flight.landedMs) },
        delay: { type: 'double', values: landed.map((flight) => flight.delay) },
        late_number: { type: 'double', values: landed.map((flight) => Number(flight.late)) },
      });
      const name = names.featureView.format({ project: millrace.project, view });
      return insist(() =>
        millrace.features.pushRows({ view: name, rows, requestId: `push-${view}-${tickMs}` }, { deadlineMs }),
      );
    }),
  );
  counts.pushed += landed.length;
}

/** The tensors of a request: entity keys, what is known of the flights, and the moment each is asked about. */
export function tensorsOf(flights: readonly Flight[]): TensorInput[] {
  return [
    ...Object.values(views).map((key) => ({
      name: key,
      type: 'BYTES' as const,
      values: flights.map((flight) => flight[key]),
    })),
    ...ownColumns.map((name) => ({
      name,
      type: 'FP32' as const,
      values: flights.map((flight) => flight[name]),
    })),
    { name: 'asked_at', type: 'INT64', values: flights.map((flight) => BigInt(flight.askedMs)) },
  ];
}

/** The id under which a flight's prediction is known: the request's, and the row where it has several. */
function inferenceId(request: string, row: number, rows: number): string {
  return rows === 1 ? request : `${request}/${row}`;
}

/** Asks for the flights of a tick in one request; answers the ids of the predictions. */
export async function predict(
  millrace: Millrace,
  flights: readonly Flight[],
  tickMs: number,
  counts: Counts,
): Promise<string[]> {
  const id = `flights-${tickMs}`;
  const tensors = tensorsOf(flights);
  const begun = performance.now();
  const answer = await insist(
    () => infer(millrace, 'late-flights', tensors, { id, deadlineMs }),
    () => {
      counts.failures++;
    },
  );
  counts.latenciesMs.push(performance.now() - begun);
  counts.requests++;
  counts.predictions += flights.length;
  counts.byVersion.set(
    answer.modelVersion,
    (counts.byVersion.get(answer.modelVersion) ?? 0) + flights.length,
  );
  return flights.map((_, row) => inferenceId(id, row, flights.length));
}

/** Tells what really happened to flights whose predictions were asked for. */
export async function tellTruth(
  millrace: Millrace,
  truth: readonly { readonly id: string; readonly late: boolean }[],
  knownMs: number,
  counts: Counts,
): Promise<void> {
  if (truth.length === 0) return;
  const request = {
    deployment: resourceNames(millrace.project).deployment,
    inferenceIds: truth.map(({ id }) => id),
    labels: truth.map(({ late }) => ({ kind: { case: 'boolValue', value: late } as const })),
    knownTime: timestampFromMs(knownMs),
    requestId: `truth-${knownMs}`,
  };
  await insist(() => millrace.monitoring.logGroundTruth(request, { deadlineMs }));
  counts.labels += truth.length;
}
