import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { type FieldRules, Format, rules } from '@millrace/contracts/common';

/** How a request is filled. Every choice follows from what `pick` answers. */
export interface Filling {
  /** A number in [0, below). */
  pick(below: number): number;
  /** The text of a string field, or undefined for one that its rules allow. */
  text(field: DescField): string | undefined;
  /** The number of a numeric or enum field, or undefined for a small one. */
  number(field: DescField): number | undefined;
  /** How many items a list gets. */
  items(field: DescField): number;
  /** Whether a field is set at all. */
  set(field: DescField): boolean;
  readonly depth: number;
  /** Names of resources that there are, by pattern. */
  readonly names?: ReadonlyMap<string, ReadonlySet<string>>;
  /** How many messages and items there may be in all; counted down. */
  readonly budget: { left: number };
}

/** Texts that are wrong almost anywhere. */
export const hostileTexts: readonly string[] = [
  'x'.repeat(20_000),
  'a\u0000b',
  'line\nbreak\u001b[31m\u007f',
  '../../../../etc/passwd',
  'projects/A/models/x',
  'projects/default/../default',
  'projects//runs/',
  'projects/default/runs/%00',
  'projects/default/runs/%E0%A4%A',
  'file:///etc/passwd',
  "'; DROP TABLE runs; --",
  '${jndi:ldap://x}',
  '\u202e\ufffd\ud7ff\u{10ffff}',
  '__proto__',
  '{"a":[[[[[',
  '((((((((((1',
  '-1',
  'NaN',
];

/** Numbers at the edges of what fields can hold. */
export const extremeNumbers: readonly number[] = [
  -1,
  0,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e308,
  5e-324,
];

/** Makes a message whose fields are filled in that way. */
export function fill(desc: DescMessage, filling: Filling): Message {
  const message = create(desc);
  const target = reflect(desc, message);
  const chosen = new Map(
    desc.oneofs.map((oneof) => [oneof, oneof.fields[filling.pick(oneof.fields.length)]]),
  );
  for (const field of desc.fields) {
    if (!filling.set(field) || (field.oneof && chosen.get(field.oneof) !== field)) continue;
    switch (field.fieldKind) {
      case 'scalar':
        target.set(field, scalarOf(field, field.scalar, filling));
        break;
      case 'enum':
        target.set(field, enumOf(field, filling));
        break;
      case 'message': {
        const inner = child(field.message, filling);
        if (inner) target.set(field, reflect(field.message, inner));
        break;
      }
      case 'list':
        for (let i = filling.items(field); i > 0 && filling.budget.left-- > 0; i--) {
          if (field.listKind === 'scalar') target.get(field).add(scalarOf(field, field.scalar, filling));
          else if (field.listKind === 'enum') target.get(field).add(enumOf(field, filling));
          else {
            const inner = child(field.message, filling);
            if (inner) target.get(field).add(reflect(field.message, inner));
          }
        }
        break;
      case 'map':
        for (let i = Math.min(filling.items(field), 3); i > 0; i--) {
          const key = field.mapKey === ScalarType.STRING ? (filling.text(field) ?? `k${i}`) : i;
          if (field.mapKind === 'scalar') target.get(field).set(key, scalarOf(field, field.scalar, filling));
          else if (field.mapKind === 'message') {
            const inner = child(field.message, filling);
            if (inner) target.get(field).set(key, reflect(field.message, inner));
          }
        }
    }
  }
  return message;
}

function child(desc: DescMessage, filling: Filling): Message | undefined {
  return filling.depth > 0 && filling.budget.left-- > 0
    ? fill(desc, { ...filling, depth: filling.depth - 1 })
    : undefined;
}

const bits = { [ScalarType.INT32]: 32, [ScalarType.SINT32]: 32, [ScalarType.SFIXED32]: 32 } as Record<
  number,
  number
>;
const unsigned = [ScalarType.UINT32, ScalarType.FIXED32, ScalarType.UINT64, ScalarType.FIXED64];
const wide = [
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
];

function scalarOf(field: DescField, type: ScalarType, filling: Filling): unknown {
  switch (type) {
    case ScalarType.STRING:
      return filling.text(field) ?? allowedText(rulesOf(field), filling);
    case ScalarType.BYTES:
      return Uint8Array.from({ length: filling.pick(40) }, () => filling.pick(256));
    case ScalarType.BOOL:
      return filling.pick(2) === 1;
    case ScalarType.DOUBLE:
      return filling.number(field) ?? filling.pick(3) / 2;
    case ScalarType.FLOAT:
      return Math.fround(Math.min(Math.max(filling.number(field) ?? 1, -3e38), 3e38));
    default: {
      const size = wide.includes(type) ? 64 : (bits[type] ?? 32);
      const least = unsigned.includes(type) ? 0 : -(2 ** (size - 1));
      const most = unsigned.includes(type) ? 2 ** size - 1 : 2 ** (size - 1) - 1;
      const number = Math.trunc(filling.number(field) ?? filling.pick(4)) || 0;
      if (size === 32) return Math.min(Math.max(number, least), most);
      const edge = unsigned.includes(type) ? 2n ** 64n - 1n : 2n ** 63n - 1n;
      if (number >= most) return edge;
      return number <= least ? BigInt(least) : BigInt(number);
    }
  }
}

function enumOf(field: DescField, filling: Filling): number {
  const number = filling.number(field);
  const known = field.enum?.values ?? [];
  if (number !== undefined)
    return Number.isInteger(number) && Math.abs(number) < 2 ** 31 ? number : 1_000_003;
  return known[filling.pick(known.length)]?.number ?? 0;
}

/** The rules of a string: of the items, where the field is a list. */
function rulesOf(field: DescField): FieldRules | undefined {
  if (!hasOption(field, rules)) return undefined;
  const found = getOption(field, rules);
  return field.fieldKind === 'list' ? found.items : found;
}

const formats: Readonly<Record<number, string>> = {
  [Format.PROJECT]: 'fuzz',
  [Format.DIGEST]: `sha256:${'0'.repeat(64)}`,
  [Format.REQUEST_ID]: '',
  [Format.ARTIFACT_PATH]: 'a/b',
};

/** A text that the rules of the field allow: what comes of it is the handler's to say. */
function allowedText(found: FieldRules | undefined, filling: Filling): string {
  const segments = ['1', 'a', '0', '0123456789abcdef0123456789abcdef'];
  const known = [...(filling.names?.get(found?.resource ?? '') ?? [])];
  if (known.length > 0 && filling.pick(4) > 0) return known[filling.pick(known.length)] ?? '';
  if (found?.resource)
    return found.resource.replace(/\{(\w+)\}/g, (_, key: string) =>
      key === 'project' ? 'fuzz' : (segments[filling.pick(segments.length)] ?? 'a'),
    );
  return formats[found?.format ?? 0] ?? ['a', 'b', ''][filling.pick(3)] ?? 'a';
}
