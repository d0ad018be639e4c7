import type { Json } from './json.ts';

/** A compiled condition or mapping, and what it refers to. */
export interface Expression {
  /** The names of `params.NAME`. */
  readonly params: readonly string[];
  /** The `steps.STEP` it looks at, and `outputs.NAME` of them where it names one. */
  readonly steps: readonly { readonly step: string; readonly output?: string }[];
  /** The variables that are not bound inside the expression: `params`, `event` … */
  readonly variables: readonly string[];
  /** The value, or what went wrong. */
  evaluate(bindings: Readonly<Record<string, Bound>>): { readonly value: Json } | { readonly error: string };
}

/** A value that an expression can see; bigint for what must be a CEL int. */
export type Bound = Json | bigint | ReadonlyMap<string, Bound> | readonly Bound[];

/** The port to an expression language (CEL). */
export interface Expressions {
  /** Compiles; the error tells what was wrong and where. */
  compile(text: string): Expression | { readonly error: string };
}
