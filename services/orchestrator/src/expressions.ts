import { isCelError, isCelList, isCelMap, isCelUint } from '@bufbuild/cel';
import { compile as compileCel, type Expr, partsOf } from '@millrace/expressions';
import type { Bound, Expression, Expressions } from './domain/expression.ts';
import { type Json, nestingProblem } from './domain/json.ts';

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

function compile(text: string): Expression | { readonly error: string } {
  const compiled = compileCel(text);
  if ('error' in compiled) {
    const shown = JSON.stringify(text.slice(0, 200));
    return { error: `${shown} is no CEL expression that can be used: ${compiled.error}` };
  }
  const found = {
    params: new Set<string>(),
    steps: new Map<string, Set<string>>(),
    variables: new Set<string>(),
  };
  if (compiled.root) collect(compiled.root, new Set(), found);
  return {
    params: [...found.params],
    steps: [...found.steps].flatMap(([step, outputs]) =>
      outputs.size === 0 ? [{ step }] : [...outputs].map((output) => ({ step, output })),
    ),
    variables: [...found.variables],
    evaluate(bindings) {
      try {
        const input = Object.fromEntries(
          Object.entries(bindings).map(([name, value]) => [name, toCel(value)]),
        );
        const value = compiled.run(input as Parameters<typeof compiled.run>[0]);
        if (isCelError(value)) return { error: messageOf(value) };
        const json = fromCel(value);
        const nesting = nestingProblem(json);
        return nesting ? { error: `its value is ${nesting}` } : { value: json };
      } catch (error) {
        return { error: messageOf(error) };
      }
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : String(error).slice(0, 500);
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

/** Collects the references of an expression; `bound` are the variables of the macros around it. */
function collect(expr: Expr, bound: ReadonlySet<string>, found: Found): void {
  const path = pathOf(expr);
  if (!path) for (const part of partsOf(expr, bound)) collect(part.expr, part.bound, found);
  else if (!bound.has(path[0] ?? '')) note(path, found);
}

function note([root = '', name, field, output]: readonly string[], found: Found): void {
  found.variables.add(root);
  if (root === 'params' && name !== undefined) found.params.add(name);
  if (root !== 'steps' || name === undefined) return;
  const outputs = found.steps.get(name) ?? new Set();
  if (field === 'outputs' && output !== undefined) outputs.add(output);
  found.steps.set(name, outputs);
}

/** `a.b["c"]` as its names; undefined for what is not such a chain. */
function pathOf({ exprKind }: Expr): string[] | undefined {
  if (exprKind.case === 'identExpr') return [exprKind.value.name];
  if (exprKind.case === 'selectExpr') {
    const { operand, field } = exprKind.value;
    const before = operand && pathOf(operand);
    return before && [...before, field];
  }
  if (exprKind.case !== 'callExpr' || exprKind.value.function !== '_[_]') return undefined;
  const [operand, index] = exprKind.value.args;
  const before = operand && pathOf(operand);
  if (!before || index?.exprKind.case !== 'constExpr') return undefined;
  const { constantKind } = index.exprKind.value;
  return constantKind.case === 'stringValue' ? [...before, constantKind.value] : undefined;
}
