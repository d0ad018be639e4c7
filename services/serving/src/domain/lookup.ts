import { CodedError, invalidField } from '@millrace/errors';
import { type ColumnValue, tensorOfColumns } from './columns.ts';
import { type ElementName, isFloating } from './element-type.ts';
import type { Port, Signature } from './signature.ts';
import { numbersOf, type Tensor } from './tensor.ts';

/** How inputs are completed with features; see feature_lookup.proto. */
export type LookupSpec = {
  readonly entityKeys: readonly { readonly key: string; readonly input: string }[];
  readonly inputs: readonly { readonly input: string; readonly columns: readonly ColumnSpec[] }[];
  readonly onFailure: 'refuse' | 'use-defaults';
  /** Empty when requests carry no time for each row. */
  readonly eventTimeInput: string;
};

/** One column; `feature` or `requestInput` is set, the other empty. */
type ColumnSpec = {
  readonly feature: string;
  readonly requestInput: string;
  readonly name: string;
  readonly defaultValue: ColumnValue;
};

/** A column of names and values, for each row one; null where there is none. */
export interface NamedColumn {
  readonly name: string;
  readonly values: readonly ColumnValue[];
}

/** What is asked of the feature store for one request. */
export interface FeatureQuery {
  readonly features: readonly string[];
  readonly keys: readonly NamedColumn[];
  readonly rows: number;
  /** Milliseconds since 1970, for each row; undefined means now. */
  readonly timesMs: readonly number[] | undefined;
}

/** Values by feature, for each row one. */
export type FeatureValues = ReadonlyMap<string, readonly ColumnValue[]>;

/** The inputs of a model as they were put together. */
export interface Assembled {
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** The assembled columns as they go to the log: null where a feature was missing. */
  readonly columns: ReadonlyMap<string, readonly NamedColumn[]>;
  /** How many looked-up values were missing. */
  readonly missing: number;
}

/** Most rows of a request that are looked up: the feature store's own limit. */
const maxRows = 10_000;

/** Refuses a look-up that contradicts itself. */
export function checkLookup(lookup: LookupSpec): void {
  const at = 'deployment.feature_lookup';
  unique(
    lookup.entityKeys.map((key) => key.key),
    `${at}.entity_keys`,
  );
  unique(
    lookup.inputs.map((input) => input.input),
    `${at}.inputs`,
  );
  for (const [i, input] of lookup.inputs.entries()) {
    for (const [j, column] of input.columns.entries()) {
      const field = `${at}.inputs[${i}].columns[${j}]`;
      if (!column.feature && !column.requestInput)
        throw invalidField(field, 'neither feature nor request_input is set', 'one of the two');
      if (column.feature && !/^[^:]+:[^:*]+$/.test(column.feature))
        throw invalidField(`${field}.feature`, JSON.stringify(column.feature), 'view:feature');
    }
    unique(input.columns.map(columnName), `${at}.inputs[${i}].columns`);
  }
}

function unique(names: readonly string[], field: string): void {
  if (new Set(names).size !== names.length)
    throw invalidField(field, 'a name is there twice', 'each name once');
}

/** The name of a column in the log. */
function columnName(column: ColumnSpec): string {
  return column.name || column.requestInput || column.feature.slice(column.feature.indexOf(':') + 1);
}

/** Tells why a model cannot be fed by a look-up; undefined when it can. */
export function lookupProblem(lookup: LookupSpec, signature: Signature): string | undefined {
  for (const { input, columns } of lookup.inputs) {
    const port = signature.inputs.find((candidate) => candidate.name === input);
    if (!port)
      return `the look-up assembles the input ${JSON.stringify(input)}, which the model does not have`;
    const wide = port.shape[1];
    if (port.shape.length > 2 || (port.shape.length < 2 && columns.length > 1) || port.shape.length === 0)
      return `the input ${JSON.stringify(input)} has ${port.shape.length} dimensions; a look-up assembles [rows, columns]`;
    if (typeof wide === 'number' && wide >= 0 && wide !== columns.length)
      return `the input ${JSON.stringify(input)} has ${wide} columns and the look-up assembles ${columns.length}`;
    const bare = columns.find((column) => column.feature && column.defaultValue === null);
    if (bare && !isFloating(port.type))
      return `the column ${columnName(bare)} needs a default: ${port.type} cannot hold NaN`;
  }
  return undefined;
}

/** What has to be asked of the feature store for a request. */
export function featureQuery(
  lookup: LookupSpec,
  inputs: ReadonlyMap<string, Tensor>,
  eventTimeMs: number | undefined,
): FeatureQuery {
  const keys = lookup.entityKeys.map(({ key, input }) => ({
    name: key,
    values: keysOf(inputs, input || key),
  }));
  const rows = keys[0]?.values.length ?? 0;
  if (keys.some((key) => key.values.length !== rows))
    throw invalidField('inputs', 'the entity keys have different numbers of rows', 'one value for each row');
  if (rows > maxRows)
    throw invalidField('inputs', `${rows} rows`, `at most ${maxRows} rows with a feature look-up`);
  const features = new Set<string>();
  for (const input of lookup.inputs)
    for (const column of input.columns) if (column.feature) features.add(column.feature);
  return { features: [...features], keys, rows, timesMs: timesOf(lookup, inputs, rows, eventTimeMs) };
}

function timesOf(
  lookup: LookupSpec,
  inputs: ReadonlyMap<string, Tensor>,
  rows: number,
  eventTimeMs: number | undefined,
): readonly number[] | undefined {
  const { eventTimeInput } = lookup;
  if (!eventTimeInput) return eventTimeMs === undefined ? undefined : Array(rows).fill(eventTimeMs);
  const type = inputs.get(eventTimeInput)?.type;
  if (type && type !== 'INT64') throw invalidField(`inputs.${eventTimeInput}.datatype`, type, 'INT64');
  const times = columnOf(inputs, eventTimeInput).map(Number);
  if (times.length !== rows)
    throw invalidField(`inputs.${eventTimeInput}.shape`, `${times.length} rows`, `${rows}`);
  if (times.some((time) => Math.abs(time) > 8.64e15))
    throw invalidField(`inputs.${eventTimeInput}`, 'a time out of range', 'milliseconds since 1970');
  return times;
}

/** The values of an entity key: texts, or whole numbers that fit INT64. */
function keysOf(inputs: ReadonlyMap<string, Tensor>, name: string): readonly ColumnValue[] {
  const values = columnOf(inputs, name);
  const wrong = values.find((value) =>
    typeof value === 'number'
      ? !Number.isSafeInteger(value)
      : typeof value === 'bigint' && value >= 2n ** 63n,
  );
  if (wrong === undefined) return values;
  throw invalidField(`inputs.${name}`, `${wrong} is no entity key`, 'texts, or whole numbers that fit INT64');
}

/** Values of an input of the request of shape [rows] or [rows, 1]. */
function columnOf(inputs: ReadonlyMap<string, Tensor>, name: string): readonly ColumnValue[] {
  const tensor = inputs.get(name);
  if (!tensor)
    throw invalidField(
      'inputs',
      `the input ${JSON.stringify(name)} is missing`,
      'every input of the look-up',
    );
  const { shape, type } = tensor;
  if (shape.length < 1 || shape.length > 2 || (shape.length === 2 && shape[1] !== 1))
    throw invalidField(`inputs.${name}.shape`, `[${shape.join(', ')}]`, '[rows] or [rows, 1]');
  if (!(tensor.data instanceof Uint8Array)) return tensor.data;
  if (type === 'INT64' || type === 'UINT64') return bigints(tensor.data, type);
  return [...numbersOf(tensor)];
}

function bigints(data: Uint8Array, type: 'INT64' | 'UINT64'): bigint[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const at = (i: number) =>
    type === 'INT64' ? view.getBigInt64(8 * i, true) : view.getBigUint64(8 * i, true);
  return Array.from({ length: data.byteLength / 8 }, (_, i) => at(i));
}

/** Puts the inputs of a model together from the request and the features. */
export function assemble(
  lookup: LookupSpec,
  signature: Signature,
  inputs: ReadonlyMap<string, Tensor>,
  query: FeatureQuery,
  features: FeatureValues,
): Assembled {
  const used = new Set(lookup.entityKeys.map(({ key, input }) => input || key));
  if (lookup.eventTimeInput) used.add(lookup.eventTimeInput);
  const assembled = new Map<string, Tensor>();
  const logged = new Map<string, readonly NamedColumn[]>();
  let missing = 0;
  for (const { input, columns } of lookup.inputs) {
    const port = signature.inputs.find((candidate) => candidate.name === input) as Port;
    const filled = columns.map((column) => {
      if (column.requestInput) used.add(column.requestInput);
      const values = column.feature
        ? (features.get(column.feature) ?? Array<null>(query.rows).fill(null))
        : columnOf(inputs, column.requestInput);
      if (values.length !== query.rows)
        throw invalidField(
          `inputs.${column.requestInput || column.feature}`,
          `${values.length} rows`,
          `${query.rows} rows`,
        );
      if (column.feature) missing += values.reduce<number>((sum, value) => sum + (value === null ? 1 : 0), 0);
      return { name: columnName(column), values, fallback: column.defaultValue };
    });
    const shape = port.shape.length === 1 ? [query.rows] : [query.rows, columns.length];
    assembled.set(input, {
      name: input,
      type: port.type,
      shape,
      data: fill(port.type, filled, query.rows, input),
    });
    logged.set(input, filled);
  }
  for (const [name, tensor] of inputs)
    if (signature.inputs.some((port) => port.name === name) || !used.has(name))
      if (!assembled.has(name)) assembled.set(name, tensor);
  return { inputs: assembled, columns: logged, missing };
}

function fill(
  type: ElementName,
  columns: readonly (NamedColumn & { readonly fallback: ColumnValue })[],
  rows: number,
  input: string,
): Tensor['data'] {
  try {
    return tensorOfColumns(type, columns, rows);
  } catch (cause) {
    const message = `a value of the input ${JSON.stringify(input)} cannot be written as ${type}`;
    throw new CodedError('failed_precondition', 'FEATURE_TYPE', message, { cause });
  }
}
