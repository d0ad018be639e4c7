import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';

/** How a message travels, and what it takes once it is read. */
export interface WireForm {
  /** What answers call it. */
  readonly name: string;
  /** What it takes without its fields' values, in bytes. */
  readonly weight: number;
  /** By their numbers; a list of few fields is faster than a map, and every value is looked up. */
  readonly fields: readonly (WireField | undefined)[];
}

export interface WireField {
  readonly name: string;
  /** Of one value. */
  readonly wireType: WireType;
  /** Whether many values may also come as one piece. */
  readonly packs: boolean;
  /** What one value takes beside its text or its parts, in bytes. */
  readonly weight: number;
  /** Its bit among the lists of its message; 0 when it is no list. */
  readonly list: number;
  /** What a text takes beside its bytes, which are copied; undefined when it is none. */
  readonly text: number | undefined;
  /** What a message or an entry of a map is made of. */
  readonly form?: WireForm | undefined;
}

/**
 * In bytes; measured on Node 24 without pointer compression, and never more than a tenth above it for what callers send
 * (see the test): a weight that is too high refuses requests that the contract allows. A list has room for 17 items as
 * soon as it has one, of which `room` is what most lists leave empty. Objects of a map share their keys and shape, unless
 * somebody makes all keys different: then an entry takes 70 more. Numbers with a fraction are objects of their own, texts
 * of one letter are there already.
 */
const weightOf = {
  message: 48,
  field: 8,
  list: 32,
  room: 80,
  map: 56,
  oneof: 40,
  entry: 8,
  text: 20,
  view: 104,
  bigint: 24,
  fraction: 16,
} as const;

/** What a list takes more as soon as it has one item, in bytes. */
export const listRoom = weightOf.room;

const forms = new WeakMap<DescMessage, WireForm>();

/** The form of a message, made when it is first asked for. */
export function formOf(type: DescMessage): WireForm {
  const known = forms.get(type);
  if (known) return known;
  const fields: WireField[] = [];
  const form = { name: type.typeName, weight: weightOfEmpty(type), fields };
  // Before its fields are: a message can be in itself.
  forms.set(type, form);
  let lists = 0;
  for (const field of type.fields)
    fields[field.number] = fieldOf(field, field.fieldKind === 'list' ? lists++ : -1);
  return form;
}

function weightOfEmpty({ fields, oneofs }: DescMessage): number {
  const lists = fields.filter((field) => field.fieldKind === 'list').length;
  const maps = fields.filter((field) => field.fieldKind === 'map').length;
  // Its other fields are there only when they are set.
  const implicit = fields.filter(isImplicit).length;
  // Objects grow by three fields at a time.
  const slots = 3 * Math.ceil((lists + maps + oneofs.length + implicit) / 3);
  const parts = weightOf.list * lists + weightOf.map * maps + weightOf.oneof * oneofs.length;
  return weightOf.message + weightOf.field * slots + parts;
}

/** Whether a message has the field from the start, with its zero. */
function isImplicit(field: DescField): boolean {
  const isSingle = field.fieldKind === 'scalar' || field.fieldKind === 'enum';
  return isSingle && field.presence === FeatureSet_FieldPresence.IMPLICIT;
}

/** `listIndex` counts the lists of the message; -1 is for what is none. */
function fieldOf(field: DescField, listIndex: number): WireField {
  if (field.fieldKind === 'map') return mapOf(field);
  const form = valueForm(field.name, field.message, field.scalar, listIndex);
  return isImplicit(field) || field.oneof ? form : { ...form, weight: form.weight + weightOf.field };
}

/** A map travels as a list of messages with a key and a value; a message that is left out is made all the same. */
function mapOf(field: DescField & { fieldKind: 'map' }): WireField {
  const text = field.mapKey === ScalarType.STRING ? 0 : undefined;
  const key = { ...valueForm('key', undefined, field.mapKey), weight: 0, text };
  const value = valueForm('value', field.message, field.scalar);
  const fields = [undefined, key, { ...value, form: value.form && { ...value.form, weight: 0 } }];
  const weight = weightOf.entry + (value.form?.weight ?? 0);
  const form = { name: `an entry of ${field.parent.typeName}.${field.name}`, weight, fields };
  return { ...valueForm(field.name, undefined, ScalarType.BYTES), weight: 0, form };
}

/** One value; what is neither a message nor a scalar is an enum. No contract has groups. */
function valueForm(
  name: string,
  message?: DescMessage,
  scalar = ScalarType.INT32,
  listIndex = -1,
): WireField {
  const form = message && formOf(message);
  const wireType = form ? WireType.LengthDelimited : wireTypeOf(scalar);
  const packs = listIndex >= 0 && wireType !== WireType.LengthDelimited;
  const text = !form && scalar === ScalarType.STRING ? weightOf.text : undefined;
  const list = listIndex < 0 ? 0 : 1 << Math.min(listIndex, 30);
  const weight = form ? 0 : weightOfScalar(scalar, list > 0);
  return { name, wireType, packs, weight, list, text, form };
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

function weightOfScalar(scalar: ScalarType, isItem: boolean): number {
  switch (scalar) {
    case ScalarType.BYTES:
      return weightOf.view;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return weightOf.bigint;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      // A single number is whole as often as not, a list of them has fractions.
      return isItem ? weightOf.fraction : weightOf.fraction / 2;
    default:
      return 0;
  }
}
