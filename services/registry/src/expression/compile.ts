import { type CelInput, type CelResult, celEnv, parse, plan } from '@bufbuild/cel';
import { type References, referencesOf } from './references.ts';

/** An expression that was understood. */
export interface Compiled {
  readonly references: References;
  run(bindings: Readonly<Record<string, CelInput>>): CelResult;
}

/** The deepest nesting of brackets and negations; more than anybody reads. */
const maxNesting = 32;
/** Macros inside macros take time in the power of their number. */
const maxLoopDepth = 2;

/** Understands an expression, or says what is wrong with it. */
export function compile(expression: string): Compiled | { readonly error: string } {
  const nesting = nestingOf(expression);
  if (nesting > maxNesting) return { error: `it is nested ${nesting} deep; allowed are ${maxNesting}` };
  try {
    const parsed = parse(expression);
    const references = referencesOf(parsed.expr);
    if (references.loopDepth > maxLoopDepth)
      return { error: `macros are nested ${references.loopDepth} deep; allowed are ${maxLoopDepth}` };
    const planned = plan(celEnv(), parsed) as (bindings: Readonly<Record<string, CelInput>>) => CelResult;
    return { references, run: planned };
  } catch (caught) {
    return { error: explain(caught) };
  }
}

function explain(caught: unknown): string {
  if (caught instanceof RangeError) return 'it is too long';
  const message = caught instanceof Error ? caught.message : 'it cannot be read';
  const place = /^<input>:(\d+):(\d+): (.*)$/s.exec(message);
  return place ? `line ${place[1]}, column ${place[2]}: ${place[3]}` : message;
}

/** Counts open brackets outside of texts, and runs of prefix operators. */
function nestingOf(expression: string): number {
  const code = expression.replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
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
