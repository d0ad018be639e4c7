import {
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { isWrapperDesc } from '@bufbuild/protobuf/wkt';
import { type FieldRules, rules as rulesOption } from '@millrace/contracts/common';
import { type Check, isFull, type Report, settle, violate } from './report.ts';
import { rulesThatDoNotFit } from './rules.ts';
import { enumCheck, scalarCheck } from './scalars.ts';
import { wellKnownCheck } from './well-known.ts';

/** Throws INVALID_FIELD with all that is wrong with a message, up to twenty violations. */
export type Validate = (message: Message) => void;

type Values = Readonly<Record<string, unknown>>;

const compiled = new WeakMap<DescMessage, Check | null>();

/**
 * The validator of a message type, from its (millrace.common.v1.rules); undefined when every message of the type is
 * valid. It is compiled once into a tree of closures.
 */
export function validatorOf(type: DescMessage): Validate | undefined {
  const check = messageCheck(type);
  if (!check) return undefined;
  return (message) => {
    const report: Report = { path: [], found: [] };
    check(message, report);
    settle(report);
  };
}

function messageCheck(type: DescMessage): Check | undefined {
  const known = compiled.get(type);
  if (known !== undefined) return known ?? undefined;
  if (!canBeInvalid(type)) {
    compiled.set(type, null);
    return undefined;
  }
  // Set before the fields are compiled, because a message may contain itself.
  let checks: readonly Check[] = [];
  const check: Check = (message, report) => {
    for (const one of checks) {
      if (isFull(report)) return;
      one(message, report);
    }
  };
  const special = wellKnownCheck(type);
  compiled.set(type, special ?? check);
  if (special) return special;
  checks = type.fields.flatMap((field) => fieldCheck(field) ?? []);
  return check;
}

/** Whether any message of this type, or inside it, can break a rule. */
function canBeInvalid(type: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(type)) return false;
  seen.add(type);
  if (wellKnownCheck(type)) return true;
  return type.fields.some((field) => {
    if (hasOption(field, rulesOption) || field.enum) return true;
    if (field.scalar === ScalarType.STRING) return true;
    if (field.fieldKind === 'map' && field.mapKey === ScalarType.STRING) return true;
    return field.message !== undefined && canBeInvalid(field.message, seen);
  });
}

/** The check of one field; it is given the message that has the field. */
function fieldCheck(field: DescField): Check | undefined {
  const rules = hasOption(field, rulesOption) ? getOption(field, rulesOption) : undefined;
  const misplaced = rules ? rulesThatDoNotFit(field, rules) : [];
  if (misplaced.length > 0)
    throw new TypeError(`${field.parent.typeName}.${field.name} cannot have: ${misplaced.join(', ')}`);
  const check = valueCheck(field, rules);
  if (!check) return undefined;
  const { name, localName, oneof } = field;
  if (oneof)
    return (message, report) => {
      const choice = (message as Values)[oneof.localName] as { case?: string; value?: unknown };
      if (choice.case === localName) at(name, choice.value, report, check);
    };
  return (message, report) => at(name, (message as Values)[localName], report, check);
}

function at(step: string | number, value: unknown, report: Report, check: Check): void {
  report.path.push(step);
  check(value, report);
  report.path.pop();
}

/** The check of a field's value, which may be absent. */
function valueCheck(field: DescField, rules: FieldRules | undefined): Check | undefined {
  if (field.fieldKind === 'list') return listCheck(field, rules);
  if (field.fieldKind === 'map') return mapCheck(field, rules);
  const inner = single(field, rules);
  const required = rules?.required === true;
  if (!inner && !required) return undefined;
  return (value, report) => {
    if (value !== undefined) inner?.(value, report);
    else if (required) violate(report, 'not given', 'a value');
  };
}

/** The check of one value, or one item, of a field. */
function single(
  field: {
    readonly message?: DescMessage | undefined;
    readonly enum?: DescEnum | undefined;
    readonly scalar?: ScalarType | undefined;
  },
  rules: FieldRules | undefined,
): Check | undefined {
  if (field.enum) return enumCheck(field.enum, rules);
  if (field.scalar !== undefined) return scalarCheck(field.scalar, rules);
  if (!field.message || isWrapperDesc(field.message)) return undefined;
  return messageCheck(field.message);
}

function listCheck(
  field: DescField & { fieldKind: 'list' },
  rules: FieldRules | undefined,
): Check | undefined {
  const item = single(field, rules?.items);
  const count = countCheck(rules, 'items');
  const unique = rules?.unique === true;
  if (!item && !count && !unique) return undefined;
  return (value, report) => {
    const list = value as readonly unknown[];
    count?.(list.length, report);
    if (unique) uniqueCheck(list, report);
    // A list that is too long is not walked: its length is what is wrong.
    if (!item || isTooLong(rules, list.length)) return;
    for (let i = 0; i < list.length && !isFull(report); i++) at(i, list[i], report, item);
  };
}

function mapCheck(field: DescField & { fieldKind: 'map' }, rules: FieldRules | undefined): Check | undefined {
  const item = single(field, rules?.items);
  const count = countCheck(rules, 'entries');
  const textKeys = field.mapKey === ScalarType.STRING;
  if (!item && !count && !textKeys) return undefined;
  return (value, report) => {
    const entries = Object.entries(value as object);
    count?.(entries.length, report);
    if (isTooLong(rules, entries.length)) return;
    for (const [key, one] of entries) {
      if (isFull(report)) return;
      report.path.push(`[${textKeys ? JSON.stringify(key) : key}]`);
      if (textKeys && key.includes('\0')) violate(report, 'the key contains NUL', 'text without NUL');
      item?.(one, report);
      report.path.pop();
    }
  };
}

function countCheck(
  rules: FieldRules | undefined,
  what: string,
): ((count: number, report: Report) => void) | undefined {
  if (!rules) return undefined;
  const min = Math.max(rules.minItems ?? 0, rules.required ? 1 : 0);
  const max = rules.maxItems ?? Number.POSITIVE_INFINITY;
  if (min === 0 && max === Number.POSITIVE_INFINITY) return undefined;
  return (count, report) => {
    if (count < min) violate(report, `has ${count} ${what}`, `at least ${min}`);
    else if (count > max) violate(report, `has ${count} ${what}`, `at most ${max}`);
  };
}

function isTooLong(rules: FieldRules | undefined, count: number): boolean {
  return rules?.maxItems !== undefined && count > rules.maxItems;
}

function uniqueCheck(list: readonly unknown[], report: Report): void {
  const seen = new Map<unknown, number>();
  for (let i = 0; i < list.length && !isFull(report); i++) {
    const item = list[i];
    const key = item instanceof Uint8Array ? Buffer.from(item).toString('latin1') : item;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, i);
    else at(i, item, report, (_, r) => violate(r, `is the same as item ${first}`, 'items that differ'));
  }
}
