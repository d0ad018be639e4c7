import type { DescMessage } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { CodedError } from '@millrace/errors';
import { formOf, listRoom, type WireField, type WireForm } from './wire-form.ts';

/**
 * Estimates how many bytes of memory a message takes once it is read, walking its bytes without building anything: two
 * bytes can become an object of a hundred. Stops as soon as it is over `enough`. Throws UNDECODABLE where a field has
 * not the wire type of its type or ends after its message: reading asks for neither, and would build what nobody
 * weighed. What is no message in another way weighs what was understood of it; reading will tell what is wrong.
 */
export function weigh(type: DescMessage, bytes: Uint8Array, enough: number): number {
  const scan = { bytes, at: 0, weight: 0, enough };
  weighParts(formOf(type), bytes.length, scan, 0);
  return scan.weight;
}

interface Scan {
  readonly bytes: Uint8Array;
  at: number;
  weight: number;
  readonly enough: number;
}

/** Reading refuses what is deeper than 100 messages, and each may be in an entry of a map. */
const maxDepth = 200;

function weighParts(form: WireForm, end: number, scan: Scan, depth: number): void {
  scan.weight += form.weight;
  // The lists that have an item.
  let begun = 0;
  while (scan.at < end && scan.weight <= scan.enough) {
    const tag = readVarint(scan);
    const field = form.fields[tag >>> 3];
    if (!field) pass(scan, tag);
    else {
      const wireType = tag & 7;
      if ((field.list & ~begun) !== 0) {
        begun |= field.list;
        scan.weight += listRoom;
      }
      if (wireType === field.wireType) {
        scan.weight += field.weight;
        if (wireType === WireType.LengthDelimited) weighPart(form, field, end, scan, depth);
        else passNumber(scan, wireType);
      } else if (field.packs && wireType === WireType.LengthDelimited) weighPacked(form, field, end, scan);
      else throw wrongWireType(form, field, wireType);
    }
    if (scan.at > end) throw overrun(form, field);
  }
}

/** A text, bytes, a message or an entry of a map. */
function weighPart(form: WireForm, field: WireField, end: number, scan: Scan, depth: number): void {
  const length = readVarint(scan);
  const inner = scan.at + length;
  if (inner > end) throw overrun(form, field);
  // The engine has every text of one letter already.
  if (field.text !== undefined) scan.weight += length < 2 ? 0 : field.text + length;
  else if (field.form && depth < maxDepth) weighParts(field.form, inner, scan, depth + 1);
  scan.at = inner;
}

/** Fixed numbers are counted by their size, the others by the bytes that end one. */
function weighPacked(form: WireForm, field: WireField, end: number, scan: Scan): void {
  const { bytes } = scan;
  const length = readVarint(scan);
  const inner = scan.at + length;
  if (inner > end) throw overrun(form, field);
  let count = 0;
  if (field.wireType === WireType.Varint) {
    for (let i = scan.at; i < inner; i++) if (bytes[i]! < 0x80) count++;
    if (length > 0 && bytes[inner - 1]! > 0x7f) throw overrun(form, field);
  } else {
    count = length / (field.wireType === WireType.Bit64 ? 8 : 4);
    if (!Number.isInteger(count)) throw overrun(form, field);
  }
  scan.weight += field.weight * count;
  scan.at = inner;
}

/** Passes over a field that the contract does not know, whole groups too, as reading does. */
function pass(scan: Scan, first: number): void {
  let open = 0;
  for (let tag = first; ; tag = readVarint(scan)) {
    const wireType = tag & 7;
    if (wireType === WireType.LengthDelimited) {
      const length = readVarint(scan);
      scan.at += length;
    } else if (wireType === WireType.StartGroup) open++;
    else if (wireType === WireType.EndGroup) open--;
    else passNumber(scan, wireType);
    if (open <= 0 || scan.at >= scan.bytes.length) return;
  }
}

function passNumber(scan: Scan, wireType: WireType): void {
  const { bytes } = scan;
  if (wireType === WireType.Bit64) scan.at += 8;
  else if (wireType === WireType.Bit32) scan.at += 4;
  else {
    let at = scan.at;
    while (bytes[at++]! > 0x7f);
    scan.at = at;
  }
}

/** The low 32 bits of a number; more is in no tag and no length. */
function readVarint(scan: Scan): number {
  const first = scan.bytes[scan.at];
  // Nearly all tags and lengths have one byte.
  if (first !== undefined && first < 0x80) {
    scan.at++;
    return first;
  }
  let value = 0;
  for (let shift = 0; scan.at < scan.bytes.length; shift += 7) {
    const byte = scan.bytes[scan.at++]!;
    if (shift < 32) value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value >>> 0;
}

/** As the encoding calls its wire types. */
const names = ['VARINT', 'I64', 'LEN', 'SGROUP', 'EGROUP', 'I32'];

function wrongWireType(form: WireForm, field: WireField, wireType: number): CodedError {
  const allowed = [names[field.wireType], ...(field.packs ? [names[WireType.LengthDelimited]] : [])];
  return undecodable(
    `the field ${field.name} of ${form.name} has the wire type ${names[wireType] ?? wireType}; allowed: ${allowed.join(', ')}`,
  );
}

function overrun(form: WireForm, field?: WireField): CodedError {
  const what = field ? `the field ${field.name}` : 'an unknown field';
  return undecodable(`${what} of ${form.name} is cut off; allowed: values that end where their length says`);
}

function undecodable(text: string): CodedError {
  return new CodedError('invalid_argument', 'UNDECODABLE', text);
}
