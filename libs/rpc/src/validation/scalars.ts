import { type DescEnum, ScalarType } from '@bufbuild/protobuf';
import { matchName } from '@millrace/contracts';
import type { FieldRules } from '@millrace/contracts/common';
import { fits, lengthOf, shapes } from './formats.ts';
import { type Check, show, violate } from './report.ts';

const floating: ReadonlySet<ScalarType> = new Set([ScalarType.DOUBLE, ScalarType.FLOAT]);

/** The check of one scalar value; undefined when any value will do. */
export function scalarCheck(type: ScalarType, rules: FieldRules | undefined): Check | undefined {
  if (type === ScalarType.STRING) return stringCheck(rules);
  if (type === ScalarType.BYTES) return bytesCheck(rules);
  if (type === ScalarType.BOOL || !rules) return undefined;
  return numberCheck(rules, floating.has(type));
}

/** The check of one enum value: it must be defined, and given where that is required. */
export function enumCheck(type: DescEnum, rules: FieldRules | undefined): Check {
  const defined = new Set<unknown>(type.values.map((value) => value.number));
  const named = type.values.filter((value) => value.number !== 0).map((value) => value.name);
  const allowed = named.length > 12 ? `a value of ${type.typeName}` : named.join(', ');
  const required = rules?.required === true;
  return (value, report) => {
    if (required && value === 0) violate(report, 'not given', allowed);
    else if (!defined.has(value)) violate(report, `${value} is not a value of ${type.typeName}`, allowed);
  };
}

function stringCheck(rules: FieldRules | undefined): Check {
  const checks = rules ? stringRules(rules) : [];
  const required = rules?.required === true;
  const whatIsAllowed = rules ? describe(rules) : '';
  return (value, report) => {
    const text = value as string;
    if (required && text === '') return violate(report, 'empty', whatIsAllowed);
    if (text.includes('\0')) return violate(report, 'contains NUL', 'text without NUL');
    for (const check of checks) check(text, report);
  };
}

function stringRules(rules: FieldRules): Check[] {
  const { minLen, maxLen, resource } = rules;
  const checks: Check[] = [];
  if (minLen !== undefined)
    checks.push((value, report) => {
      const text = value as string;
      if (text.length < 2 * minLen && lengthOf(text) < minLen)
        violate(report, `has ${lengthOf(text)} characters`, `at least ${minLen}`);
    });
  if (maxLen !== undefined)
    checks.push((value, report) => {
      const text = value as string;
      if (!fits(text, maxLen)) violate(report, `has ${lengthOf(text)} characters`, `at most ${maxLen}`);
    });
  const shape = shapes[rules.format];
  if (shape)
    checks.push((value, report) => {
      const text = value as string;
      if (text !== '' && !shape.test(text)) violate(report, show(text), shape.allowed);
    });
  if (resource !== '') {
    const parts = resource.split('/');
    checks.push((value, report) => {
      const text = value as string;
      if (text !== '' && !matchName(parts, text))
        violate(report, `${show(text)} is not such a name`, resource);
    });
  }
  return checks;
}

function describe(rules: FieldRules): string {
  if (rules.resource !== '') return rules.resource;
  return shapes[rules.format]?.allowed ?? 'text that is not empty';
}

function bytesCheck(rules: FieldRules | undefined): Check | undefined {
  if (!rules) return undefined;
  const minLen = rules.minLen ?? 0;
  const maxLen = rules.maxLen ?? Number.POSITIVE_INFINITY;
  return (value, report) => {
    const { length } = value as Uint8Array;
    if (rules.required && length === 0) violate(report, 'empty', 'bytes that are not empty');
    else if (length < minLen) violate(report, `has ${length} bytes`, `at least ${minLen}`);
    else if (length > maxLen) violate(report, `has ${length} bytes`, `at most ${maxLen}`);
  };
}

function numberCheck(rules: FieldRules, isFloating: boolean): Check | undefined {
  const { gte, lte, gt, lt } = rules;
  const finite = rules.finite && isFloating;
  if (gte === undefined && lte === undefined && gt === undefined && lt === undefined && !finite)
    return undefined;
  const allowed = range(rules, finite);
  return (value, report) => {
    const number = value as number | bigint;
    const ok =
      (gte === undefined || number >= gte) &&
      (lte === undefined || number <= lte) &&
      (gt === undefined || number > gt) &&
      (lt === undefined || number < lt) &&
      (!finite || Number.isFinite(number));
    if (!ok) violate(report, `is ${number}`, allowed);
  };
}

function range({ gte, lte, gt, lt }: FieldRules, finite: boolean): string {
  const bounds = [
    ...(gte === undefined ? [] : [`at least ${gte}`]),
    ...(gt === undefined ? [] : [`more than ${gt}`]),
    ...(lte === undefined ? [] : [`at most ${lte}`]),
    ...(lt === undefined ? [] : [`less than ${lt}`]),
  ];
  return (finite ? ['a finite number', ...bounds] : bounds).join(', ');
}
