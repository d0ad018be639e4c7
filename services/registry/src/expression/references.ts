import { type Expr, partsOf } from '@millrace/expressions';

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
export function referencesOf(root: Expr | undefined): References {
  const fields = { candidate: new Set<string>(), champion: new Set<string>() };
  const whole = { candidate: false, champion: false };
  const entries: Entry[] = [];
  const unknown = new Set<string>();
  const used = new Set<string>();

  function walk(expr: Expr, bound: ReadonlySet<string>): void {
    const found = entryOf(expr);
    if (found && !bound.has(found.side)) {
      fields[found.side].add(found.field);
      entries.push(found);
      return;
    }
    const { exprKind } = expr;
    if (exprKind.case === 'identExpr') {
      const { name } = exprKind.value;
      if (bound.has(name) || types.includes(name)) return;
      if (!variables.includes(name)) unknown.add(name);
      used.add(name);
      if (name === 'candidate' || name === 'champion') whole[name] = true;
      return;
    }
    const side = exprKind.case === 'selectExpr' ? sideOf(exprKind.value.operand) : undefined;
    if (exprKind.case === 'selectExpr' && side && !bound.has(side)) {
      fields[side].add(exprKind.value.field);
      used.add(side);
    } else for (const part of partsOf(expr, bound)) walk(part.expr, part.bound);
  }

  if (root) walk(root, new Set());
  return { fields, whole, entries, unknown: [...unknown], variables: used };
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
