import { type CelInput, type CelResult, celEnv, celError, parse, plan } from '@bufbuild/cel';
import { type Expr, loopDepthOf } from './walk.ts';

/** An expression that was understood. */
export interface Compiled {
  readonly root: Expr | undefined;
  /** The value, or a CEL error. Never throws. */
  run(bindings: Readonly<Record<string, CelInput>>): CelResult;
}

/** The deepest nesting of brackets and negations; more than anybody reads. */
const maxNesting = 32;
/** Macros inside macros take time in the power of their number. */
const maxLoopDepth = 2;
/** The longest list that they may be given: an event may hold a hundred thousand things, and their square is no number to wait for. */
const maxLoopItems = 1_000;

/**
 * Understands an expression in CEL (cel.dev), or says what is wrong with it. What users write is hostile until it is
 * checked: nesting and macros are limited, and what they go over when they run.
 */
export function compile(text: string): Compiled | { readonly error: string } {
  const nesting = nestingOf(text);
  if (nesting > maxNesting) return { error: `it is nested ${nesting} deep; allowed are ${maxNesting}` };
  try {
    const parsed = parse(text);
    const depth = loopDepthOf(parsed.expr);
    if (depth > maxLoopDepth)
      return { error: `macros are nested ${depth} deep; allowed are ${maxLoopDepth}` };
    const planned = plan(celEnv(), parsed) as (bindings: Readonly<Record<string, CelInput>>) => CelResult;
    return {
      root: parsed.expr,
      run(bindings) {
        const items = depth > 1 ? longestIn(Object.values(bindings)) : 0;
        if (items > maxLoopItems)
          return failed(`a list has ${items} items; allowed where macros are nested are ${maxLoopItems}`);
        try {
          return planned(bindings);
        } catch (caught) {
          return failed(caught instanceof Error ? caught.message : 'it cannot be evaluated');
        }
      },
    };
  } catch (caught) {
    return { error: explain(caught) };
  }
}

function failed(message: string): CelResult {
  return celError(message);
}

function explain(caught: unknown): string {
  if (caught instanceof RangeError) return 'it is too long';
  const message = caught instanceof Error ? caught.message : 'it cannot be read';
  const place = /^<input>:(\d+):(\d+): (.*)$/s.exec(message);
  return (place ? `line ${place[1]}, column ${place[2]}: ${place[3]}` : message).slice(0, 500);
}

/** How many items the longest list or map among values, and inside them, has. */
function longestIn(values: Iterable<unknown>): number {
  let longest = 0;
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    const items = value instanceof Map ? [...value.values()] : Object.values(value);
    longest = Math.max(longest, items.length, longestIn(items));
  }
  return longest;
}

/** Counts open brackets outside of texts, and runs of prefix operators. */
function nestingOf(text: string): number {
  const code = text.replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
  let depth = 0;
  let deepest = 0;
  for (const char of code) {
    if ('([{?'.includes(char)) depth += 1;
    else if (')]}:'.includes(char)) depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  for (const run of code.match(/[!-]{2,}/g) ?? []) deepest = Math.max(deepest, run.length);
  return deepest;
}
