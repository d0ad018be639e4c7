import { type DescEnum, type DescMessage, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { durationMs } from '../cli/duration.ts';
import { nearest } from '../cli/nearest.ts';
import { isRecord } from './manifest.ts';

/** Tells of something wrong and gives nothing. */
export type Tell = (description: string) => undefined;

/** A value of an enum: its name, or its name without the prefix, in any case. */
export function enumValue(type: DescEnum, value: unknown, tell: Tell): JsonValue | undefined {
  const wanted = String(value).toUpperCase().replaceAll(/[\s-]/g, '_');
  const found = type.values.find((one) => one.name === wanted || one.localName === wanted);
  if (found) return found.name;
  const known = type.values.filter((one) => one.number !== 0).map((one) => one.localName.toLowerCase());
  const close = nearest(wanted.toLowerCase(), known);
  return tell(
    `${JSON.stringify(value)} is not one of ${known.join(', ')}${close ? `; did you mean ${close}?` : ''}`,
  );
}

/** The JSON form of a scalar; what the type does not hold is told. */
export function scalarValue(type: ScalarType, value: unknown, tell: Tell): JsonValue | undefined {
  const shown = isRecord(value) ? 'a mapping' : Array.isArray(value) ? 'a list' : JSON.stringify(value);
  switch (type) {
    case ScalarType.STRING:
      if (typeof value === 'string') return value;
      if (typeof value === 'object') return tell(`is ${shown}, not a text`);
      return tell(`${shown} is not a text; put it in quotes: "${String(value)}"`);
    case ScalarType.BOOL:
      return typeof value === 'boolean' ? value : tell(`${shown} is neither true nor false`);
    case ScalarType.BYTES:
      if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
      return typeof value === 'string' && isBase64(value) ? value : tell(`is not !!binary or base64`);
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      if (typeof value !== 'number') return tell(`${shown} is not a number`);
      return Number.isFinite(value)
        ? value
        : Number.isNaN(value)
          ? 'NaN'
          : value > 0
            ? 'Infinity'
            : '-Infinity';
    default:
      return wholeValue(type, value, shown, tell);
  }
}

const unsigned: readonly ScalarType[] = [
  ScalarType.UINT32,
  ScalarType.UINT64,
  ScalarType.FIXED32,
  ScalarType.FIXED64,
];
const long: readonly ScalarType[] = [
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
];

function wholeValue(type: ScalarType, value: unknown, shown: string, tell: Tell): JsonValue | undefined {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    return tell(`${shown} is not a whole number`);
  const least = unsigned.includes(type) ? 0 : long.includes(type) ? Number.MIN_SAFE_INTEGER : -(2 ** 31);
  const most = long.includes(type)
    ? Number.MAX_SAFE_INTEGER
    : unsigned.includes(type)
      ? 2 ** 32 - 1
      : 2 ** 31 - 1;
  if (value < least || value > most) return tell(`${shown} is not between ${least} and ${most}`);
  return long.includes(type) ? String(value) : value;
}

function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text.replaceAll(/\s/g, ''));
}

/** Messages that have a form of their own in YAML. */
export function specialValue(
  type: DescMessage,
  value: unknown,
  tell: Tell,
): { readonly handled: boolean; readonly value?: JsonValue | undefined } {
  switch (type.typeName) {
    case 'google.protobuf.Duration':
      return { handled: true, value: durationValue(value, tell) };
    case 'google.protobuf.Timestamp':
      return { handled: true, value: momentValue(value, tell) };
    case 'google.protobuf.Value':
    case 'google.protobuf.Struct':
    case 'google.protobuf.ListValue':
      return { handled: true, value: JSON.parse(JSON.stringify(value)) as JsonValue };
    case 'millrace.common.v1.Value':
      return isRecord(value) ? { handled: false } : { handled: true, value: plainValue(value, tell) };
    default:
      return { handled: false };
  }
}

function durationValue(value: unknown, tell: Tell): JsonValue | undefined {
  const ms = typeof value === 'string' ? durationMs(value.replaceAll(' ', '')) : undefined;
  return ms === undefined
    ? tell(`${JSON.stringify(value)} is not a time such as 30s, 5m, 1h30m, 7d`)
    : `${ms / 1000}s`;
}

function momentValue(value: unknown, tell: Tell): JsonValue | undefined {
  const moment = value instanceof Date || typeof value === 'string' ? new Date(value) : undefined;
  if (!moment || Number.isNaN(moment.getTime()))
    return tell(`${JSON.stringify(value)} is not a moment such as 2026-01-31T12:00:00Z`);
  return moment.toISOString();
}

function plainValue(value: unknown, tell: Tell): JsonValue | undefined {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { doubleValue: scalarValue(ScalarType.DOUBLE, value, tell) ?? 0 };
  return tell('is not a number, a text, true or false');
}
