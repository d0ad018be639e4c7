import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Duration, Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import {
  AggregationFunction,
  type EntitySchema,
  type FeatureViewSchema,
  type SourceSchema,
  SourceFormat as WireFormat,
} from '@millrace/contracts/features';
import type { Versioned } from '@millrace/documents';
import { invalidField } from '@millrace/errors';
import { wireTypes } from './batch.ts';
import type { AggregateFunction } from './domain/aggregate.ts';
import type { ColumnSchema, Entity, FeatureView, Source, SourceFormat } from './domain/definition.ts';
import { maxTimeUs } from './domain/time.ts';

/** A moment in a message. */
export const timestampOf = (us: number): MessageInitShape<typeof TimestampSchema> => {
  const seconds = Math.floor(us / 1_000_000);
  return { seconds: BigInt(seconds), nanos: Math.round(us - seconds * 1_000_000) * 1000 };
};

export const timeOfMs = (ms: number) => timestampOf(ms * 1000);

/** Microseconds of a moment, rounded down; INVALID_FIELD beyond what event times hold. */
export function microsOf(time: Timestamp, field: string): number {
  const us = Number(time.seconds) * 1_000_000 + Math.floor(time.nanos / 1000);
  if (Math.abs(us) > maxTimeUs) throw invalidField(field, 'too far', 'years from 1684 to 2255');
  return us;
}

/** Microseconds of a length of time; INVALID_FIELD when it is negative or not whole microseconds. */
export function microsOfDuration(length: Duration, field: string): number {
  const us = Number(length.seconds) * 1_000_000 + length.nanos / 1000;
  if (us < 0 || !Number.isSafeInteger(us)) {
    throw invalidField(field, 'negative, too long or finer than a microsecond', 'whole microseconds');
  }
  return us;
}

const durationOf = (us: number) => ({
  seconds: BigInt(Math.floor(us / 1_000_000)),
  nanos: (us % 1_000_000) * 1000,
});

export const wireFunctions: Readonly<Record<AggregateFunction, AggregationFunction>> = {
  count: AggregationFunction.COUNT,
  sum: AggregationFunction.SUM,
  mean: AggregationFunction.MEAN,
  min: AggregationFunction.MIN,
  max: AggregationFunction.MAX,
  stddev: AggregationFunction.STDDEV,
};

export const wireFormats: Readonly<Record<SourceFormat, WireFormat>> = {
  parquet: WireFormat.PARQUET,
  csv: WireFormat.CSV,
  json_lines: WireFormat.JSON_LINES,
};

/** The key of a table whose value this is. */
export function nameIn<K extends string, V>(table: Readonly<Record<K, V>>, value: V): K | undefined {
  return (Object.keys(table) as K[]).find((key) => table[key] === value);
}

const schemaMessage = ({ name, type }: ColumnSchema) => ({ name, type: wireTypes[type] });

/** What every resource's message ends with. `undefined` stands for one that is about to be created. */
function stamps(held: Stamped) {
  return {
    etag: String(held.version),
    createTime: timeOfMs(held.createdAtMs),
    updateTime: timeOfMs(held.updatedAtMs),
  };
}

type Stamped = Pick<Versioned<unknown>, 'version' | 'createdAtMs' | 'updatedAtMs'>;
export type Held<T> = Stamped & { readonly id: string; readonly doc: T };

export function entityMessage(held: Held<Entity>): MessageInitShape<typeof EntitySchema> {
  const { joinKeys, description, tags } = held.doc;
  return {
    name: held.id,
    joinKeys: joinKeys.map(schemaMessage),
    description,
    tags: [...tags],
    ...stamps(held),
  };
}

export function sourceMessage(held: Held<Source>): MessageInitShape<typeof SourceSchema> {
  const { location, format, csvDelimiter, description, tags, columns } = held.doc;
  return {
    name: held.id,
    location:
      location.kind === 'path'
        ? { case: 'path', value: location.path }
        : { case: 'digest', value: location.digest },
    format: wireFormats[format],
    csvDelimiter,
    description,
    tags: [...tags],
    columns: columns.map(schemaMessage),
    ...stamps(held),
  };
}

export function viewMessage(held: Held<FeatureView>): MessageInitShape<typeof FeatureViewSchema> {
  const view = held.doc;
  return {
    name: held.id,
    entities: [...view.entities],
    source: view.source,
    sql: view.sql,
    timestampColumn: view.timestampColumn,
    createdColumn: view.createdColumn,
    ...(view.ttlUs > 0 ? { ttl: durationOf(view.ttlUs) } : {}),
    features: view.features.map((f) => ({ ...f, type: wireTypes[f.type] })),
    aggregations: view.aggregations.map((a) => ({
      name: a.name,
      function: wireFunctions[a.fn],
      column: a.column,
      window: durationOf(a.windowUs),
      ...(a.places === null ? {} : { decimalPlaces: a.places }),
      description: a.description,
    })),
    description: view.description,
    tags: [...view.tags],
    columns: view.columns.map(schemaMessage),
    version: view.version,
    joinKeys: view.joinKeys.map((k) => k.name),
    ...(view.materializedUs === null ? {} : { materializedUntil: timestampOf(view.materializedUs) }),
    ...stamps(held),
  };
}
