import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '@millrace/contracts/onnx';
import type { ModelLimits } from './limits.ts';
import type { Refusal } from './refusal.ts';

/** Messages inside messages; four graphs inside each other need about thirty. */
const maxMessageDepth = 64;

/**
 * Walks the wire form of a file without building anything, and counts what reading it would build. A file of a few
 * megabytes can otherwise ask for gigabytes of objects, since an empty message takes two bytes. Returns why the file
 * cannot be read, or undefined when it can.
 */
export function scan(bytes: Uint8Array, limits: ModelLimits): Refusal | undefined {
  const cursor: Cursor = { bytes, at: 0, objects: 0, numbers: 0, limits };
  try {
    walk(cursor, bytes.length, ModelProtoSchema, 0);
    return undefined;
  } catch (caught) {
    if (caught instanceof ScanStop) return caught.refusal;
    throw caught;
  }
}

interface Cursor {
  readonly bytes: Uint8Array;
  readonly limits: ModelLimits;
  at: number;
  objects: number;
  numbers: number;
}

/** Leaves the walk from any depth; never leaves this file. */
class ScanStop extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

function malformed(what: string, at: number): ScanStop {
  return new ScanStop({ code: 'MALFORMED', message: `it is not an ONNX file: ${what} at byte ${at}` });
}

function tooComplex(what: string): ScanStop {
  return new ScanStop({ code: 'TOO_COMPLEX', message: `it has ${what}` });
}

function walk(cursor: Cursor, end: number, message: DescMessage, depth: number): void {
  if (depth > maxMessageDepth) throw tooComplex(`messages nested more than ${maxMessageDepth} deep`);
  const fields = fieldsOf(message);
  while (cursor.at < end) {
    const start = cursor.at;
    const tag = readVarint(cursor, end);
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    const field = fields.get(number);
    if (number === 0 || number > 0x1fffffff) throw malformed('an impossible field number', start);
    if (wire === 0) {
      readVarint(cursor, end);
      countNumber(cursor, 1, field);
    } else if (wire === 1 || wire === 5) {
      cursor.at += wire === 1 ? 8 : 4;
      if (cursor.at > end) throw malformed('a number that is cut short', start);
      countNumber(cursor, 1, field);
    } else if (wire === 2) {
      const length = readVarint(cursor, end);
      const stop = cursor.at + length;
      if (stop > end) throw malformed('a length beyond the end', start);
      readDelimited(cursor, stop, field, depth);
    } else throw malformed('an unknown wire type', start);
    if (field && !fits(field, wire))
      throw malformed(`field ${message.name}.${field.name} of a wrong type`, start);
  }
}

function readDelimited(cursor: Cursor, stop: number, field: DescField | undefined, depth: number): void {
  if (field?.message) {
    countObject(cursor);
    walk(cursor, stop, field.message, depth + 1);
  } else {
    // Packed numbers take at least one byte each.
    if (field && isNumeric(field)) countNumber(cursor, stop - cursor.at, field);
    else countObject(cursor);
    cursor.at = stop;
  }
}

function countObject(cursor: Cursor): void {
  cursor.objects += 1;
  if (cursor.objects > cursor.limits.maxObjects)
    throw tooComplex(`more than ${cursor.limits.maxObjects} messages and strings`);
}

function countNumber(cursor: Cursor, bytes: number, field: DescField | undefined): void {
  if (field?.fieldKind !== 'list') return;
  const width = fixedWidths[field.scalar ?? 0] ?? 1;
  cursor.numbers += Math.ceil(bytes / (bytes === 1 ? 1 : width));
  if (cursor.numbers > cursor.limits.maxListNumbers)
    throw tooComplex(`more than ${cursor.limits.maxListNumbers} numbers in lists; keep weights as raw data`);
}

/** Widths of the fixed-width types, by ScalarType: DOUBLE 1, FLOAT 2. */
const fixedWidths: Readonly<Record<number, number>> = { 1: 8, 2: 4 };

function isNumeric(field: DescField): boolean {
  return (
    field.enum !== undefined || (field.scalar !== undefined && field.scalar !== 9 && field.scalar !== 12)
  );
}

/** Whether a field may come with a wire type; repeated numbers may also come packed. */
function fits(field: DescField, wire: number): boolean {
  if (!isNumeric(field)) return wire === 2;
  if (wire === 2) return field.fieldKind === 'list';
  const width = fixedWidths[field.scalar ?? 0];
  return width === undefined ? wire === 0 : wire === (width === 8 ? 1 : 5);
}

/** Reads a varint of up to ten bytes. Beyond 2⁵³ it is not exact, which no length or field number can use. */
function readVarint(cursor: Cursor, end: number): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 10; i++) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined || cursor.at >= end) throw malformed('a number that is cut short', cursor.at);
    cursor.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw malformed('a number of more than ten bytes', cursor.at);
}

const tables = new Map<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(message: DescMessage): ReadonlyMap<number, DescField> {
  const known = tables.get(message);
  if (known) return known;
  const table = new Map(message.fields.map((field) => [field.number, field]));
  tables.set(message, table);
  return table;
}
