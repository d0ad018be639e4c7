import { CodedError, invalidField } from '@millrace/errors';

/**
 * How documents are written, the same in every adapter: JSON text, so that nothing depends on what a database allows
 * in keys and numbers. Values that JSON lacks become tagged objects, and then `bytes` is not null:
 * `{"$n":"NaN"|"Infinity"|"-Infinity"|"-0"}`, `{"$i":"<bigint>"}`, `{"$b":[offset,length]}` into `bytes`; keys of the
 * document that begin with `$` get one more `$`. Without such values the text is plain `JSON.stringify`.
 */
export interface Encoded {
  readonly text: string;
  readonly bytes: Uint8Array | null;
}

/** Deepest nesting of a document; what people write by hand stays far below it. */
const maxDepth = 200;

/** The largest document with the events of one write, in bytes; below MongoDB's 16 MiB. */
export const maxDocumentBytes = 14 * 1024 * 1024;

/** Encodes plain data; anything else is refused with INVALID_FIELD at its path, too much with TOO_LARGE. */
export function encode(doc: unknown): Encoded {
  const plain = isPlain(doc, '', 0);
  const encoded = plain ? { text: JSON.stringify(doc), bytes: null } : encodeTagged(doc);
  // The exact length is counted only where it could matter: a UTF-16 unit is at most three bytes.
  if (encoded.text.length * 3 + (encoded.bytes?.length ?? 0) > maxDocumentBytes) {
    const size = Buffer.byteLength(encoded.text) + (encoded.bytes?.length ?? 0);
    if (size > maxDocumentBytes) throw tooLarge(size);
  }
  return encoded;
}

/** Reads what {@link encode} wrote. Bytes in the document are views of `bytes`, which is to be its own. */
export function decode(text: string, bytes: Uint8Array | null): unknown {
  const parsed: unknown = JSON.parse(text);
  return bytes === null ? parsed : revive(parsed, bytes);
}

/** The refusal of a write that does not fit into one document. */
export function tooLarge(sizeBytes: number): CodedError {
  const message = `the document has ${sizeBytes} bytes with its events; allowed: at most ${maxDocumentBytes}`;
  return new CodedError('resource_exhausted', 'TOO_LARGE', message);
}

function isPlain(value: unknown, path: string, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'bigint':
      return false;
    case 'object':
      break;
    default:
      throw invalidField(path || 'document', `a ${typeof value} is not data`, 'plain data');
  }
  if (value === null) return true;
  if (value instanceof Uint8Array) return false;
  if (depth >= maxDepth) throw invalidField(path, 'nested too deeply', `at most ${maxDepth} levels`);
  let plain = true;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (!isPlain(value[i], `${path}[${i}]`, depth + 1)) plain = false;
    }
    return plain;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'object';
    throw invalidField(path || 'document', `a ${name} is not plain data`, 'JSON values, bigints and bytes');
  }
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined && !isPlain(member, path ? `${path}.${key}` : key, depth + 1)) plain = false;
  }
  return plain;
}

function encodeTagged(doc: unknown): Encoded {
  const chunks: Uint8Array[] = [];
  let offset = 0;
  function write(value: unknown): string {
    if (typeof value === 'bigint') return `{"$i":"${value}"}`;
    if (typeof value === 'number') {
      if (Number.isFinite(value) && !Object.is(value, -0)) return String(value);
      return `{"$n":"${Object.is(value, -0) ? '-0' : value}"}`;
    }
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    if (value instanceof Uint8Array) {
      chunks.push(value);
      offset += value.length;
      return `{"$b":[${offset - value.length},${value.length}]}`;
    }
    if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
    const members: string[] = [];
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      members.push(`${JSON.stringify(key.startsWith('$') ? `$${key}` : key)}:${write(member)}`);
    }
    return `{${members.join(',')}}`;
  }
  return { text: write(doc), bytes: Buffer.concat(chunks) };
}

/** Puts values in the place of their tags, in what was just parsed. */
function revive(value: unknown, bytes: Uint8Array): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = revive(value[i], bytes);
    return value;
  }
  const tags = value as { $n?: string; $i?: string; $b?: [number, number] };
  if (tags.$n !== undefined) return Number(tags.$n);
  if (tags.$i !== undefined) return BigInt(tags.$i);
  if (tags.$b !== undefined) return bytes.subarray(tags.$b[0], tags.$b[0] + tags.$b[1]);
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object)) {
    const member = object[key];
    if (typeof member === 'object' && member !== null) set(object, key, revive(member, bytes));
  }
  return Object.keys(object).some((key) => key.startsWith('$')) ? unescaped(object) : object;
}

/** The object with one `$` less before each key that has one, in the same order. */
function unescaped(object: Record<string, unknown>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(object))
    set(plain, key.startsWith('$') ? key.slice(1) : key, member);
  return plain;
}

function set(object: Record<string, unknown>, key: string, value: unknown): void {
  // Assigning `__proto__` would set the prototype instead of a member.
  if (key !== '__proto__') object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}
