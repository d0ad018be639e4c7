import { celEnv, isCelError, isCelList, isCelMap, isCelUint, parse, plan } from '@bufbuild/cel';
import type { Bound, Expression, Expressions } from './domain/expression.ts';
import type { Json } from './domain/json.ts';

/** A node of a parsed expression, as far as references are looked for. */
interface Expr {
  readonly exprKind: { readonly case?: string | undefined; readonly value?: unknown };
}
type Parsed = ReturnType<typeof parse>;

/** Conditions and mappings in CEL, compiled once for each text. Source: cel.dev, by @bufbuild/cel. */
export function createExpressions(): Expressions {
  const compiled = new Map<string, Expression | { readonly error: string }>();
  return {
    compile(text) {
      const known = compiled.get(text);
      if (known) return known;
      // Bounded, because triggers and pipelines come and go.
      if (compiled.size >= 10_000) compiled.clear();
      const made = compile(text);
      compiled.set(text, made);
      return made;
    },
  };
}

/** The deepest nesting of brackets and negations; more than anybody reads. The registry's gates allow the same. */
const maxNesting = 32;
/** Macros inside macros take time in the power of their number. */
const maxLoopDepth = 2;
/** The longest list that they may be given: an event may hold a hundred thousand things, and their square is no number to wait for. */
const maxLoopItems = 1_000;

function compile(text: string): Expression | { readonly error: string } {
  const nesting = nestingOf(text);
  if (nesting > maxNesting)
    return { error: `the expression is nested ${nesting} deep; allowed are ${maxNesting}` };
  let parsed: Parsed;
  let run: (bindings: Record<string, never>) => unknown;
  let depth = 0;
  const found = {
    params: new Set<string>(),
    steps: new Map<string, Set<string>>(),
    variables: new Set<string>(),
  };
  try {
    parsed = parse(text);
    run = plan(celEnv(), parsed) as typeof run;
    depth = walk(parsed.expr as Expr, new Set(), found);
    if (depth > maxLoopDepth)
      return { error: `macros are nested ${depth} deep; allowed are ${maxLoopDepth}` };
  } catch (error) {
    return { error: `${JSON.stringify(text.slice(0, 200))} is no CEL expression: ${messageOf(error)}` };
  }
  return {
    params: [...found.params],
    steps: [...found.steps].flatMap(([step, outputs]) =>
      outputs.size === 0 ? [{ step }] : [...outputs].map((output) => ({ step, output })),
    ),
    variables: [...found.variables],
    evaluate(bindings) {
      try {
        const items = depth > 1 ? Math.max(0, ...Object.values(bindings).map(longestOf)) : 0;
        if (items > maxLoopItems)
          return { error: `a list has ${items} items; allowed where macros are nested are ${maxLoopItems}` };
        const input = Object.fromEntries(
          Object.entries(bindings).map(([name, value]) => [name, toCel(value)]),
        );
        const value = run(input as Record<string, never>);
        return isCelError(value) ? { error: messageOf(value) } : { value: fromCel(value) };
      } catch (error) {
        return { error: messageOf(error) };
      }
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : String(error).slice(0, 500);
}

/** How many items the longest list or map in a value has. */
function longestOf(value: Bound): number {
  if (typeof value !== 'object' || value === null) return 0;
  const items: Bound[] = value instanceof Map ? [...value.values()] : Object.values(value);
  return items.reduce<number>((longest, item) => Math.max(longest, longestOf(item)), items.length);
}

/** CEL has maps where JSON has objects; plain objects would be looked up with their prototypes. */
function toCel(value: Bound): unknown {
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, toCel(v)]));
  if (Array.isArray(value)) return value.map((item: Bound) => toCel(item));
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value as { [key: string]: Json }).map(([k, v]) => [k, toCel(v)]));
  return value;
}

function fromCel(value: unknown): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return Number(value);
  if (isCelUint(value)) return Number(value.value);
  if (isCelList(value)) return [...value].map(fromCel);
  if (isCelMap(value)) return Object.fromEntries([...value].map(([k, v]) => [String(k), fromCel(v)]));
  throw new TypeError('the value has no JSON form');
}

interface Found {
  readonly params: Set<string>;
  readonly steps: Map<string, Set<string>>;
  readonly variables: Set<string>;
}

/** Collects the references of an expression; `bound` are the variables of the comprehensions around it. Answers how deep macros are nested. */
function walk(expr: Expr | undefined, bound: ReadonlySet<string>, found: Found): number {
  if (!expr) return 0;
  const path = pathOf(expr);
  if (path && !bound.has(path[0] ?? '')) note(path, found);
  if (path) return 0;
  const { case: kind, value } = expr.exprKind;
  const parts = value as Record<string, unknown>;
  const deepest = (exprs: readonly (Expr | undefined)[], names = bound) =>
    Math.max(0, ...exprs.map((part) => walk(part, names, found)));
  switch (kind) {
    case 'selectExpr':
      return walk(parts.operand as Expr, bound, found);
    case 'callExpr':
      return deepest([parts.target as Expr | undefined, ...(parts.args as Expr[])]);
    case 'listExpr':
      return deepest(parts.elements as Expr[]);
    case 'structExpr': {
      const entries = parts.entries as { keyKind: { case?: string; value?: unknown }; value?: Expr }[];
      const keys = entries.map(({ keyKind }) =>
        keyKind.case === 'mapKey' ? (keyKind.value as Expr) : undefined,
      );
      return deepest([...keys, ...entries.map((entry) => entry.value)]);
    }
    case 'comprehensionExpr': {
      const inner = new Set([...bound, parts.iterVar, parts.iterVar2, parts.accuVar].map(String));
      const inside = ['accuInit', 'loopCondition', 'loopStep', 'result'].map((part) => parts[part] as Expr);
      return 1 + Math.max(walk(parts.iterRange as Expr, bound, found), deepest(inside, inner));
    }
    default:
      return 0;
  }
}

function note([root = '', name, field, output]: readonly string[], found: Found): void {
  found.variables.add(root);
  if (root === 'params' && name !== undefined) found.params.add(name);
  if (root !== 'steps' || name === undefined) return;
  const outputs = found.steps.get(name) ?? new Set();
  if (field === 'outputs' && output !== undefined) outputs.add(output);
  found.steps.set(name, outputs);
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

/** `a.b["c"]` as its names; undefined for what is not such a chain. */
function pathOf(expr: Expr): string[] | undefined {
  const { case: kind, value } = expr.exprKind;
  const parts = value as Record<string, unknown>;
  if (kind === 'identExpr') return [String(parts.name)];
  if (kind === 'selectExpr') {
    const before = pathOf(parts.operand as Expr);
    return before && [...before, String(parts.field)];
  }
  if (kind === 'callExpr' && parts.function === '_[_]') {
    const [operand, index] = parts.args as Expr[];
    const before = operand && pathOf(operand);
    const constant =
      index?.exprKind.case === 'constExpr'
        ? (index.exprKind.value as { constantKind: { case?: string; value?: unknown } })
        : undefined;
    return before && constant?.constantKind.case === 'stringValue'
      ? [...before, String(constant.constantKind.value)]
      : undefined;
  }
  return undefined;
}
