import {
  type DescField,
  type DescMessage,
  getOption,
  type JsonObject,
  type JsonValue,
} from '@bufbuild/protobuf';
import { rules } from '@millrace/contracts/common';
import { isRecord, type Path, unknownKey } from './manifest.ts';
import { resourceOf } from './reference.ts';
import { enumValue, scalarValue, specialValue } from './values.ts';

/** What a walk over a manifest's values needs and gathers. */
export interface Walk {
  readonly project: string;
  /** Tells of something that is wrong. */
  problem(path: Path, description: string): undefined;
  /** Where each field stands, by its path in proto names: `targets[0].weight`. */
  readonly places: Map<string, Path>;
}

/**
 * Turns values as people write them into the JSON form of a message: keys in any of a field's spellings, enum values
 * without prefix, times such as `3h`, resources by their last part, and lists of keys and values as mappings.
 */
export function shapeMessage(
  type: DescMessage,
  value: unknown,
  path: Path,
  proto: string,
  walk: Walk,
): JsonObject {
  const shaped: JsonObject = {};
  if (!isRecord(value)) {
    walk.problem(path, `is not a mapping; allowed: ${namesOf(type).join(', ')}`);
    return shaped;
  }
  for (const [key, inner] of Object.entries(value)) {
    const at = [...path, key];
    const field = type.fields.find(
      (one) => one.localName === key || one.name === key || one.jsonName === key,
    );
    if (!field) walk.problem(at, unknownKey(key, namesOf(type)));
    else if (inner !== null && inner !== undefined) {
      const name = proto ? `${proto}.${field.name}` : field.name;
      walk.places.set(name, at);
      const result = shapeField(field, inner, at, name, walk);
      if (result !== undefined) shaped[field.jsonName] = result;
    }
  }
  return shaped;
}

function namesOf(type: DescMessage): string[] {
  return type.fields.map((field) => field.jsonName);
}

function shapeField(
  field: DescField,
  value: unknown,
  path: Path,
  proto: string,
  walk: Walk,
): JsonValue | undefined {
  if (field.fieldKind !== 'list') return shapeOne(field, value, path, proto, walk);
  const items = Array.isArray(value) ? value : entriesOf(field, value);
  if (!items) return walk.problem(path, 'is not a list');
  return items.flatMap((item, i) => {
    const name = `${proto}[${i}]`;
    // A list that was written as a mapping has its items under keys.
    const at = [...path, Array.isArray(value) ? i : (Object.keys(value as object)[i] ?? i)];
    walk.places.set(name, at);
    const result = shapeOne(field, item, at, name, walk);
    return result === undefined ? [] : [result];
  });
}

/** `{a: 1}` as `[{key: a, value: 1}]`, or with `name`, for lists of such pairs; undefined for others. */
function entriesOf(field: DescField, value: unknown): unknown[] | undefined {
  if (!isRecord(value) || field.fieldKind !== 'list' || field.listKind !== 'message') return undefined;
  const has = (name: string) => field.message.fields.some((one) => one.name === name);
  const key = ['key', 'name'].find(has);
  if (!key || !has('value')) return undefined;
  return Object.entries(value).map(([name, inner]) => ({ [key]: name, value: inner }));
}

function shapeOne(
  field: DescField,
  value: unknown,
  path: Path,
  proto: string,
  walk: Walk,
): JsonValue | undefined {
  const kind = field.fieldKind === 'list' ? field.listKind : field.fieldKind;
  const told = (description: string) => walk.problem(path, description);
  if (kind === 'enum' && field.enum) return enumValue(field.enum, value, told);
  if (kind === 'message' && field.message) {
    const special = specialValue(field.message, value, told);
    return special.handled ? special.value : shapeMessage(field.message, value, path, proto, walk);
  }
  if (kind === 'scalar' && field.scalar !== undefined) {
    const own = getOption(field, rules);
    const pattern = field.fieldKind === 'list' ? own?.items?.resource : own?.resource;
    if (pattern && typeof value === 'string') return resourceOf(pattern, value, walk.project);
    return scalarValue(field.scalar, value, told);
  }
  return told('cannot be written in YAML');
}
