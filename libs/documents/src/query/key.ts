import type { FieldValue } from '../port.ts';

/**
 * Index keys: declared fields are stored beside the document as strings whose byte order is the order of the values,
 * so that every adapter sorts and compares alike. null < false < true < numbers < strings (by code point).
 * NaN is indexed as null, -0 as 0.
 */
const tags = { null: '0', boolean: '1', number: '2', string: '3' } as const;

const view = new DataView(new ArrayBuffer(8));

/** The index key of a field's value. */
export function keyOf(value: FieldValue | undefined): string {
  switch (typeof value) {
    case 'string':
      // Databases store UTF-8, which has no lone surrogates.
      return tags.string + value.toWellFormed();
    case 'number':
      return Number.isNaN(value) ? tags.null : tags.number + numberKey(value);
    case 'boolean':
      return tags.boolean + (value ? '1' : '0');
    default:
      return tags.null;
  }
}

/** The first key after all keys of the same type as this key. */
export function endOfKind(key: string): string {
  return String.fromCharCode(key.charCodeAt(0) + 1);
}

/** The first possible key of the same type as this key. */
export function startOfKind(key: string): string {
  return key.charAt(0);
}

/** Sixteen hex digits in the order of the numbers: IEEE 754 bits, sign flipped, negatives inverted. */
function numberKey(value: number): string {
  view.setFloat64(0, value + 0);
  const bits = view.getBigUint64(0);
  const sign = 1n << 63n;
  const ordered = bits & sign ? ~bits & ((1n << 64n) - 1n) : bits | sign;
  return ordered.toString(16).padStart(16, '0');
}
