import type { parse } from '@bufbuild/cel';

export type Expr = ReturnType<typeof parse>['expr'];
export type Side = 'candidate' | 'champion';

/** What an expression names. */
export interface References {
  /** Fields of candidate and champion, by side: `metrics`, `tags` … */
  readonly fields: Readonly<Record<Side, ReadonlySet<string>>>;
  /** Entries of the maps `metrics` and `tags` that are named outright. */
  readonly entries: readonly Entry[];
  /** Whether a side is used as a whole, or one of its maps other than entry by entry. */
  readonly whole: Readonly<Record<Side, boolean>>;
  /** Names that are no variable. */
  readonly unknown: readonly string[];
  /** Plain variables in use: `has_champion`, `alias` … */
  readonly variables: ReadonlySet<string>;
  /** How deep macros over lists and maps (`all`, `exists`, `map`, `filter`) are nested. */
  readonly loopDepth: number;
}

/** `candidate.metrics["auc"]`, or `has(candidate.metrics.auc)` when `tested`. */
interface Entry {
  readonly side: Side;
  readonly field: 'metrics' | 'tags';
  readonly key: string;
  readonly tested: boolean;
}

const variables = ['candidate', 'champion', 'has_champion', 'same_signature', 'alias'];
/** The names of types, which are values in CEL. */
const types = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'list', 'map', 'null_type', 'type'];

/** Walks an expression and collects what it names. */
export function referencesOf(root: Expr): References {
  const fields = { candidate: new Set<string>(), champion: new Set<string>() };
  const whole = { candidate: false, champion: false };
  const entries: Entry[] = [];
  const unknown = new Set<string>();
  const used = new Set<string>();
  let loopDepth = 0;

  function walk(expr: Expr | undefined, bound: readonly string[], depth: number): void {
    if (!expr) return;
    const found = entryOf(expr);
    if (found && !bound.includes(found.side)) {
      fields[found.side].add(found.field);
      entries.push(found);
      return;
    }
    const { exprKind } = expr;
    switch (exprKind.case) {
      case 'identExpr': {
        const { name } = exprKind.value;
        if (bound.includes(name) || types.includes(name)) return;
        if (!variables.includes(name)) unknown.add(name);
        used.add(name);
        if (name === 'candidate' || name === 'champion') whole[name] = true;
        return;
      }
      case 'selectExpr': {
        const side = sideOf(exprKind.value.operand);
        if (side && !bound.includes(side)) {
          fields[side].add(exprKind.value.field);
          used.add(side);
        } else walk(exprKind.value.operand, bound, depth);
        return;
      }
      case 'callExpr':
        walk(exprKind.value.target, bound, depth);
        for (const arg of exprKind.value.args) walk(arg, bound, depth);
        return;
      case 'listExpr':
        for (const element of exprKind.value.elements) walk(element, bound, depth);
        return;
      case 'structExpr':
        for (const { keyKind, value } of exprKind.value.entries) {
          if (keyKind.case === 'mapKey') walk(keyKind.value, bound, depth);
          walk(value, bound, depth);
        }
        return;
      case 'comprehensionExpr': {
        const loop = exprKind.value;
        loopDepth = Math.max(loopDepth, depth + 1);
        walk(loop.iterRange, bound, depth + 1);
        const inside = [...bound, loop.iterVar, loop.iterVar2, loop.accuVar];
        walk(loop.accuInit, bound, depth);
        for (const part of [loop.loopCondition, loop.loopStep, loop.result]) walk(part, inside, depth + 1);
        return;
      }
    }
  }

  walk(root, [], 0);
  return { fields, whole, entries, unknown: [...unknown], variables: used, loopDepth };
}

function sideOf(expr: Expr | undefined): Side | undefined {
  if (expr?.exprKind.case !== 'identExpr') return undefined;
  const { name } = expr.exprKind.value;
  return name === 'candidate' || name === 'champion' ? name : undefined;
}

/** Takes `candidate.metrics.auc` and `candidate.metrics["auc"]` apart. */
function entryOf(expr: Expr): Entry | undefined {
  const { exprKind } = expr;
  if (exprKind.case === 'selectExpr') {
    const { operand, field, testOnly } = exprKind.value;
    const map = mapOf(operand);
    return map && { ...map, key: field, tested: testOnly };
  }
  if (exprKind.case !== 'callExpr' || exprKind.value.function !== '_[_]') return undefined;
  const [operand, index] = exprKind.value.args;
  const map = mapOf(operand);
  if (!map || index?.exprKind.case !== 'constExpr') return undefined;
  const { constantKind } = index.exprKind.value;
  return constantKind.case === 'stringValue' ? { ...map, key: constantKind.value, tested: false } : undefined;
}

function mapOf(expr: Expr | undefined): Pick<Entry, 'side' | 'field'> | undefined {
  if (expr?.exprKind.case !== 'selectExpr' || expr.exprKind.value.testOnly) return undefined;
  const { operand, field } = expr.exprKind.value;
  const side = sideOf(operand);
  return side && (field === 'metrics' || field === 'tags') ? { side, field } : undefined;
}
