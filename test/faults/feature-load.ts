import { ColumnType } from '@millrace/contracts/common';
import { AggregationFunction, JobState } from '@millrace/contracts/features';
import { columnOf, type Millrace, numbersOf, toBatch } from '@millrace/sdk';
import { insist } from './insist.ts';
import type { Chance } from './scenario.ts';

/** A reading of a machine. */
export interface Reading {
  readonly machine: string;
  readonly atMs: number;
  readonly value: number;
}

export const firstMs = Date.UTC(2001, 5, 14);
/** All readings lie within it, and every window reaches back over all of it. */
export const spanMs = 3_600_000;
export const machines = Array.from({ length: 30 }, (_, i) => `m${i}`);

export const readingOf = (chance: Chance): Reading => ({
  machine: chance.pick(machines),
  atMs: firstMs + chance.between(1, spanMs / 1000 - 1) * 1000,
  value: chance.between(0, 9),
});

const features = ['readings:n', 'readings:total', 'readings:last'];

export const viewName = ({ parent }: Millrace) => `${parent}/featureViews/readings`;

/** Declares what the readings are; `version` makes it another version of the view. */
export async function declare(millrace: Millrace, version: number): Promise<void> {
  const { features: store, parent } = millrace;
  const entity = `${parent}/entities/machine`;
  const source = `${parent}/sources/log`;
  const window = { seconds: 86_400n };
  await insist(() =>
    store.applyEntity({
      entity: { name: entity, joinKeys: [{ name: 'machine', type: ColumnType.STRING }] },
    }),
  );
  await insist(() =>
    store.applyFeatureView({
      featureView: {
        name: viewName(millrace),
        entities: [entity],
        source,
        timestampColumn: 'at',
        features: [{ name: 'last', column: 'value' }],
        aggregations: [
          { name: 'n', function: AggregationFunction.COUNT, window },
          { name: 'total', function: AggregationFunction.SUM, column: 'value', window },
          ...Array.from({ length: version - 1 }, (_, i) => ({
            name: `more_${i}`,
            function: AggregationFunction.MAX,
            column: 'value',
            window,
          })),
        ],
      },
    }),
  );
}

/** Readings as rows of a batch. */
export const rowsOf = (readings: readonly Reading[]) =>
  toBatch({
    machine: { type: 'string', values: readings.map(({ machine }) => machine) },
    at: { type: 'timestamp', values: readings.map(({ atMs }) => atMs) },
    value: { type: 'int64', values: readings.map(({ value }) => value) },
  });

/** Brings the source's readings online, in a job that is waited for however often it loses its process. */
export async function materialize(millrace: Millrace, requestId: string): Promise<void> {
  const { features: store, parent } = millrace;
  const endTime = { seconds: BigInt((firstMs + spanMs) / 1000) };
  const { materialization } = await insist(() =>
    store.createMaterialization({
      parent,
      requestId,
      materialization: { view: viewName(millrace), endTime },
    }),
  );
  const { name } = materialization!;
  for (;;) {
    const now = (await insist(() => store.getMaterialization({ name }))).materialization!;
    if (now.state === JobState.SUCCEEDED) return;
    if (now.state === JobState.FAILED) throw new Error(`${now.error?.code}: ${now.error?.message}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A machine at a moment, and what is known of it then: how many readings, their sum, the newest. */
export interface Question {
  readonly machine: string;
  readonly atMs: number;
}
export type Known = readonly [n: number, total: number, last: number];

/** What is known by going through all readings. */
export function knownOf(readings: readonly Reading[], { machine, atMs }: Question): Known {
  const past = readings.filter((reading) => reading.machine === machine && reading.atMs <= atMs);
  const newest = past.toSorted((a, b) => a.atMs - b.atMs || a.value - b.value).at(-1);
  const total = past.reduce((sum, { value }) => sum + value, 0);
  return [past.length, past.length > 0 ? total : Number.NaN, newest?.value ?? Number.NaN];
}

const askedOf = (questions: readonly Question[]) =>
  toBatch({
    machine: { type: 'string', values: questions.map(({ machine }) => machine) },
    when: { type: 'timestamp', values: questions.map(({ atMs }) => atMs) },
  });

/** What the online store answers. */
export async function askOnline({ features: store, parent }: Millrace, questions: readonly Question[]) {
  const keys = askedOf(questions);
  const answer = await store.getOnlineFeatures({ parent, features, atColumn: 'when', keys });
  const [n, total, last] = answer.features.map(({ values }) => numbersOf(values!));
  return questions.map((_, i): Known => [n![i] || 0, total![i]!, last![i]!]);
}

/** What a training set answers. */
export async function askOffline({ features: store, parent }: Millrace, questions: readonly Question[]) {
  const trainingSet = {
    features,
    timestampColumn: 'when',
    entityRows: { case: 'rows' as const, value: askedOf(questions) },
  };
  const { name } = (await store.createTrainingSet({ parent, trainingSet })).trainingSet!;
  for await (const { trainingSet: now } of store.watchTrainingSet({ name }, { deadlineMs: 60_000 }))
    if (now?.state === JobState.FAILED) throw new Error(`${now.error?.code}: ${now.error?.message}`);
  const known: Known[] = [];
  for await (const { rows } of store.readTrainingSet({ name })) {
    const [n, total, last] = ['n', 'total', 'last'].map((of) => numbersOf(columnOf(rows!, of)));
    for (let i = 0; i < rows!.rowCount; i++) known.push([n![i] || 0, total![i]!, last![i]!]);
  }
  return known;
}
