import { type DescField, ScalarType } from '@bufbuild/protobuf';
import { type FieldRules, Format } from '@millrace/contracts/common';

/**
 * The rules of a field that mean nothing for its type, by their proto names: a mistake of the contract, which would
 * otherwise be a limit that is written down and never checked.
 */
export function rulesThatDoNotFit(field: DescField, rules: FieldRules): readonly string[] {
  if (field.fieldKind === 'list' || field.fieldKind === 'map') {
    const outer = given(
      { ...rules, items: undefined },
      new Set(['required', 'min_items', 'max_items', 'unique']),
    );
    const inner = rules.items ? given(rules.items, fitting(field)).map((name) => `items.${name}`) : [];
    const unique = rules.unique && (field.fieldKind === 'map' || field.message) ? ['unique'] : [];
    return [...outer, ...inner, ...unique];
  }
  return given(rules, fitting(field));
}

/** The rules that fit one value of a field. */
function fitting(field: DescField): ReadonlySet<string> {
  const numeric = ['gte', 'lte', 'gt', 'lt'];
  switch (field.scalar) {
    case undefined:
    case ScalarType.BOOL:
      return new Set(['required']);
    case ScalarType.STRING:
      return new Set(['required', 'min_len', 'max_len', 'format', 'resource']);
    case ScalarType.BYTES:
      return new Set(['required', 'min_len', 'max_len']);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return new Set(['required', 'finite', ...numeric]);
    default:
      return new Set(['required', ...numeric]);
  }
}

/** The rules that are set and not among those that fit. */
function given(
  rules: Omit<FieldRules, 'items'> & { items?: FieldRules | undefined },
  fit: ReadonlySet<string>,
) {
  const set: Readonly<Record<string, boolean>> = {
    required: rules.required,
    min_len: rules.minLen !== undefined,
    max_len: rules.maxLen !== undefined,
    format: rules.format !== Format.UNSPECIFIED,
    resource: rules.resource !== '',
    gte: rules.gte !== undefined,
    lte: rules.lte !== undefined,
    gt: rules.gt !== undefined,
    lt: rules.lt !== undefined,
    finite: rules.finite,
    min_items: rules.minItems !== undefined,
    max_items: rules.maxItems !== undefined,
    unique: rules.unique,
    items: rules.items !== undefined,
  };
  return Object.keys(set).filter((name) => set[name] && !fit.has(name));
}
