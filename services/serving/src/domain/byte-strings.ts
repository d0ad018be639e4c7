import { invalidField } from '@millrace/errors';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * One element of a BYTES tensor as text. ONNX strings are UTF-8, and the runtime's binding ends them at NUL, so what
 * it would mangle is refused.
 */
export function parseText(bytes: Uint8Array, field: string): string {
  if (bytes.includes(0)) throw invalidField(field, 'an element holds the character NUL', 'UTF-8 without NUL');
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalidField(field, 'an element is not valid UTF-8', 'UTF-8 without NUL');
  }
}

/** Takes raw BYTES apart: each element follows its length as four bytes, little-endian. */
export function parseByteStrings(raw: Uint8Array, count: number, field: string): string[] {
  if (count > raw.byteLength / 4)
    throw invalidField(field, `${raw.byteLength} bytes`, `${count} elements of at least 4 bytes`);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (texts.length < count) {
    if (at + 4 > raw.byteLength)
      throw invalidField(field, `ends within the length of element ${texts.length}`, `${count} elements`);
    const length = view.getUint32(at, true);
    at += 4;
    if (length > raw.byteLength - at)
      throw invalidField(
        field,
        `element ${texts.length} claims ${length} bytes`,
        `the ${raw.byteLength - at} bytes that follow`,
      );
    texts.push(parseText(raw.subarray(at, at + length), field));
    at += length;
  }
  if (at !== raw.byteLength)
    throw invalidField(field, `${raw.byteLength - at} bytes follow the last element`, `${count} elements`);
  return texts;
}

/** Puts texts together as raw BYTES. */
export function encodeByteStrings(texts: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts = texts.map((text) => encoder.encode(text));
  const raw = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.byteLength, 0));
  const view = new DataView(raw.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.byteLength, true);
    raw.set(part, at + 4);
    at += 4 + part.byteLength;
  }
  return raw;
}
