import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';

/** How a message travels, and what it takes once it is read. */
export interface WireForm {
  /** What answers call it. */
  readonly name: string;
  /** What it takes without its fields' values, in bytes. */
  readonly weight: number;
  readonly fields: ReadonlyMap<number, WireField>;
}

export interface WireField {
  readonly name: string;
  /** Of one value. */
  readonly wireType: WireType;
  /** Whether many values may also come as one piece. */
  readonly packs: boolean;
  /** What one value takes beside its text or its parts, in bytes. */
  readonly weight: number;
  /** Whether its bytes are copied into a text. */
  readonly isText: boolean;
  /** What a message or an entry of a map is made of. */
  readonly form?: WireForm | undefined;
}

/** In bytes; measured on Node 24. A list has room for 16 items as soon as it has one. */
const weightOf = {
  message: 64,
  field: 8,
  list: 184,
  map: 56,
  oneof: 32,
  entry: 64,
  text: 32,
  view: 120,
  bigint: 32,
  number: 8,
} as const;

const forms = new WeakMap<DescMessage, WireForm>();

/** The form of a message, made when it is first asked for. */
export function formOf(type: DescMessage): WireForm {
  const known = forms.get(type);
  if (known) return known;
  const fields = new Map<number, WireField>();
  const form = { name: type.typeName, weight: weightOfEmpty(type), fields };
  // Before its fields are: a message can be in itself.
  forms.set(type, form);
  for (const field of type.fields) fields.set(field.number, fieldOf(field));
  return form;
}

function weightOfEmpty({ fields, oneofs }: DescMessage): number {
  const lists = fields.filter((field) => field.fieldKind === 'list').length;
  const maps = fields.filter((field) => field.fieldKind === 'map').length;
  const parts =
    weightOf.field * fields.length +
    weightOf.list * lists +
    weightOf.map * maps +
    weightOf.oneof * oneofs.length;
  return weightOf.message + parts;
}

function fieldOf(field: DescField): WireField {
  if (field.fieldKind === 'map') return mapOf(field);
  return valueForm(field.name, field.message, field.scalar, field.fieldKind === 'list');
}

/** A map travels as a list of messages with a key and a value. */
function mapOf(field: DescField & { fieldKind: 'map' }): WireField {
  const fields = new Map([
    [1, valueForm('key', undefined, field.mapKey)],
    [2, valueForm('value', field.message, field.scalar)],
  ]);
  const form = { name: `an entry of ${field.parent.typeName}.${field.name}`, weight: weightOf.entry, fields };
  return { ...valueForm(field.name, undefined, ScalarType.BYTES), weight: 0, form };
}

/** One value; what is neither a message nor a scalar is an enum. No contract has groups. */
function valueForm(
  name: string,
  message?: DescMessage,
  scalar = ScalarType.INT32,
  isList = false,
): WireField {
  const form = message && formOf(message);
  const wireType = form ? WireType.LengthDelimited : wireTypeOf(scalar);
  const packs = isList && wireType !== WireType.LengthDelimited;
  const isText = !form && scalar === ScalarType.STRING;
  return { name, wireType, packs, weight: form ? 0 : weightOfScalar(scalar), isText, form };
}

function wireTypeOf(scalar: ScalarType): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

function weightOfScalar(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.STRING:
      return weightOf.text;
    case ScalarType.BYTES:
      return weightOf.view;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return weightOf.bigint;
    default:
      return weightOf.number;
  }
}
