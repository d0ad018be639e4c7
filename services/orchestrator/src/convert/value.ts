import { fromJson, type MessageInitShape, toJson } from '@bufbuild/protobuf';
import {
  type Duration,
  durationFromMs,
  durationMs,
  type Timestamp,
  timestampFromMs,
  type Value,
  ValueSchema,
} from '@bufbuild/protobuf/wkt';
import { invalidField, invalidFields } from '@millrace/errors';
import { type Json, nestingProblem } from '../domain/json.ts';
import type { Parameter } from '../domain/parameters.ts';

/** A JSON value of a message; INVALID_FIELD when it holds what JSON cannot (no kind at all, NaN), or too many levels. */
export function jsonOf(value: Value | undefined, field: string): Json {
  const json = readJson(value);
  if (json === undefined) {
    const allowed = 'null, a truth value, a finite number, text, a list or an object';
    throw invalidField(field, 'it is no JSON value', allowed);
  }
  const nesting = nestingProblem(json);
  if (nesting) throw invalidFields([{ field, description: nesting }]);
  return json;
}

/** Undefined when it is none: the message of the library names no field. */
function readJson(value: Value | undefined): Json | undefined {
  try {
    return value && (toJson(ValueSchema, value) as Json);
  } catch {
    return undefined;
  }
}

export const toValue = (json: Json): Value => fromJson(ValueSchema, json as Parameters<typeof fromJson>[1]);

/** The parameters of a message, in its order. */
export function parametersOf(
  given: readonly { name: string; value?: Value | undefined }[],
  path: string,
): readonly Parameter[] {
  return given.map(({ name, value }, i) => ({ name, value: jsonOf(value, `${path}[${i}].value`) }));
}

export const parameterValues = (parameters: readonly Parameter[]) =>
  parameters.map(({ name, value }) => ({ name, value: toValue(value) }));

/** Milliseconds of a duration; INVALID_FIELD unless it is between `leastMs` and 400 days. */
export function msOf(duration: Duration | undefined, absent: number, field: string, leastMs = 0): number {
  if (!duration) return absent;
  const ms = durationMs(duration);
  const mostMs = 400 * 86_400_000;
  if (!(ms >= leastMs && ms <= mostMs)) throw invalidField(field, `${ms} ms`, `${leastMs} ms to 400 days`);
  return Math.round(ms);
}

export const durationOf = (ms: number): Duration => durationFromMs(ms);

/** A timestamp member, or no member. */
export function time<K extends string>(name: K, ms: number | undefined | null): { [P in K]?: Timestamp } {
  return (ms === undefined || ms === null ? {} : { [name]: timestampFromMs(ms) }) as { [P in K]?: Timestamp };
}

export type Init<S extends Parameters<typeof toJson>[0]> = MessageInitShape<S>;
