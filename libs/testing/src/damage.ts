import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** A number in [0, below). */
type Pick = (below: number) => number;

/** A copy of an encoded message that is damaged `count` times; `pick` chooses where, and how. */
export function damage(message: Uint8Array, count: number, pick: Pick): Uint8Array {
  let bytes = message;
  for (let i = 0; i < count; i++) bytes = damageOnce(bytes, pick);
  return bytes;
}

/** Repeating a field makes no message larger than this. */
const maxBytes = 64 * 1024;

function damageOnce(bytes: Uint8Array, pick: Pick): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const fields = fieldsIn(bytes, 0, bytes.length);
  const field = fields[pick(fields.length)];
  const at = pick(bytes.length);
  switch (pick(field ? 6 : 3)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << pick(8));
      return copy;
    case 1:
      return copy.subarray(0, at);
    case 2: {
      const from = pick(bytes.length);
      return spliced(bytes, at, [bytes.subarray(from, from + 1 + pick(40))]);
    }
  }
  if (!field) return copy;
  switch (pick(3)) {
    case 0:
      copy[field.tag] = (copy[field.tag]! & ~7) | pick(8);
      return copy;
    case 1:
      // A length, or a number.
      copy[field.value] = copy[field.value]! + 1 + pick(100);
      return copy;
    default: {
      const whole = bytes.subarray(field.tag, field.end);
      const times = Math.min(1 + pick(60), Math.floor(maxBytes / whole.length));
      return spliced(bytes, field.end, new Array(times).fill(whole));
    }
  }
}

function spliced(bytes: Uint8Array, at: number, parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, at), ...parts, bytes.subarray(at)]));
}

/** Where a field begins, where its value does, and where it ends. */
interface Field {
  readonly tag: number;
  readonly value: number;
  readonly end: number;
}

/** The fields of a message and of what may be messages in it. */
function fieldsIn(bytes: Uint8Array, from: number, to: number): Field[] {
  const reader = new BinaryReader(bytes.subarray(0, to));
  reader.pos = from;
  const fields: Field[] = [];
  try {
    while (reader.pos < to) {
      const tag = reader.pos;
      const [number, wireType] = reader.tag();
      const value = reader.pos;
      reader.skip(wireType, number);
      const end = reader.pos;
      fields.push({ tag, value, end });
      if (wireType !== WireType.LengthDelimited) continue;
      reader.pos = value;
      reader.uint32();
      fields.push(...fieldsIn(bytes, reader.pos, end));
      reader.pos = end;
    }
  } catch {
    // The rest is no message.
  }
  return fields;
}
