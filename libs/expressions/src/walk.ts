import type { parse } from '@bufbuild/cel';

/** A node of a parsed expression. */
export type Expr = NonNullable<ReturnType<typeof parse>['expr']>;

/** A part of an expression. */
interface Part {
  readonly expr: Expr;
  /** The variables that the macros around it bind. */
  readonly bound: ReadonlySet<string>;
  /** Whether a macro over a list or map (`all`, `exists`, `map`, `filter`) runs it, or goes over it. */
  readonly looped: boolean;
}

/** The parts that an expression is directly made of, each with the variables that are bound in it. */
export function partsOf({ exprKind }: Expr, bound: ReadonlySet<string>): readonly Part[] {
  const plain = (...exprs: (Expr | undefined)[]) => made(exprs, bound, false);
  switch (exprKind.case) {
    case 'selectExpr':
      return plain(exprKind.value.operand);
    case 'callExpr':
      return plain(exprKind.value.target, ...exprKind.value.args);
    case 'listExpr':
      return plain(...exprKind.value.elements);
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) =>
        plain(keyKind.case === 'mapKey' ? keyKind.value : undefined, value),
      );
    case 'comprehensionExpr': {
      const { iterRange, iterVar, iterVar2, accuVar, accuInit, loopCondition, loopStep, result } =
        exprKind.value;
      const inside = new Set([...bound, iterVar, iterVar2, accuVar]);
      return [
        ...made([iterRange], bound, true),
        ...made([accuInit], bound, false),
        ...made([loopCondition, loopStep, result], inside, true),
      ];
    }
    default:
      return [];
  }
}

function made(exprs: (Expr | undefined)[], bound: ReadonlySet<string>, looped: boolean): Part[] {
  return exprs.flatMap((expr) => (expr ? { expr, bound, looped } : []));
}

/** How deep macros over lists and maps are nested. */
export function loopDepthOf(root: Expr | undefined): number {
  if (!root) return 0;
  const none = new Set<string>();
  return Math.max(0, ...partsOf(root, none).map(({ expr, looped }) => Number(looped) + loopDepthOf(expr)));
}
