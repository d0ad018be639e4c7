/** The attributes of a run that filters and sort keys can name. */
export const attributes = {
  run_id: 'text',
  run_name: 'text',
  experiment: 'text',
  status: 'status',
  start_time: 'time',
  end_time: 'time',
  create_time: 'time',
  update_time: 'time',
} as const;

export type AttributeName = keyof typeof attributes;

export const statuses = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const;

/** What a comparison looks at. */
export type Operand =
  | { readonly scope: 'metrics' | 'params' | 'tags'; readonly key: string }
  | { readonly scope: 'attributes'; readonly key: AttributeName };

/** A number or a text as written. Times of attributes are numbers: milliseconds since 1970. */
export type Literal = number | string;

export const comparisonOperators = ['<=', '>=', '!=', '=', '<', '>'] as const;
export type ComparisonOperator = (typeof comparisonOperators)[number];

/** A filter as a tree. Lists of terms have at least two. */
export type Condition =
  | { readonly kind: 'and'; readonly terms: readonly Condition[] }
  | { readonly kind: 'or'; readonly terms: readonly Condition[] }
  | { readonly kind: 'not'; readonly term: Condition }
  | {
      readonly kind: 'compare';
      readonly operand: Operand;
      readonly operator: ComparisonOperator;
      readonly literal: Literal;
    }
  | {
      readonly kind: 'like';
      readonly operand: Operand;
      readonly pattern: string;
      readonly ignoreCase: boolean;
      readonly negated: boolean;
    }
  | {
      readonly kind: 'in';
      readonly operand: Operand;
      readonly literals: readonly Literal[];
      readonly negated: boolean;
    }
  | { readonly kind: 'null'; readonly operand: Operand; readonly negated: boolean };

/** One sort key. */
export interface SortKey {
  readonly operand: Operand;
  readonly descending: boolean;
}
