import type { GraphProto } from '@millrace/contracts/onnx';
import { subgraphs } from './graph.ts';
import type { ModelLimits } from './limits.ts';
import { quote, type Refusals } from './refusal.ts';

/** Names that are visible, innermost graph first. */
type Scope = { readonly names: Set<string>; readonly outer: Scope | undefined };

/**
 * Checks that every value is defined once and before its use, in the graph or one around it, that outputs are
 * defined, and how deep graphs are nested. Values of an outer graph may be read, not defined again.
 */
export function checkScopes(graph: GraphProto, limits: ModelLimits, refusals: Refusals): void {
  checkGraph(graph, undefined, 0, limits, refusals);
}

function checkGraph(
  graph: GraphProto,
  outer: Scope | undefined,
  depth: number,
  limits: ModelLimits,
  refusals: Refusals,
): void {
  if (depth > limits.maxSubgraphDepth) {
    refusals.add(
      'SUBGRAPH_DEPTH',
      `graphs are nested more than ${limits.maxSubgraphDepth} deep (If, Loop, Scan)`,
    );
    return;
  }
  const scope: Scope = { names: new Set(), outer };
  for (const input of graph.input) define(scope, input.name, 'input', refusals);
  defineWeights(graph, scope, refusals);
  for (const node of graph.node) {
    for (const input of node.input)
      if (input !== '' && !visible(scope, input))
        refusals.add(
          'UNDEFINED_VALUE',
          `${quote(node.opType)} reads ${quote(input)}, which is not defined before it`,
        );
    for (const inner of subgraphs(node)) checkGraph(inner, scope, depth + 1, limits, refusals);
    for (const output of node.output) if (output !== '') define(scope, output, 'value', refusals);
  }
  for (const output of graph.output)
    if (!visible(scope, output.name))
      refusals.add('UNDEFINED_VALUE', `output ${quote(output.name)} is not defined by any node`);
}

/** A weight may carry the name of an input, whose default it is; but not that of another weight. */
function defineWeights(graph: GraphProto, scope: Scope, refusals: Refusals): void {
  const weights = new Set<string>();
  const all = [
    ...graph.initializer.map((t) => t.name),
    ...graph.sparseInitializer.map((s) => s.values?.name ?? ''),
  ];
  for (const name of all) {
    if (weights.has(name)) refusals.add('DUPLICATE_NAME', `two weights are named ${quote(name)}`);
    weights.add(name);
    scope.names.add(name);
  }
}

function define(scope: Scope, name: string, what: string, refusals: Refusals): void {
  if (scope.names.has(name)) refusals.add('DUPLICATE_NAME', `${what} ${quote(name)} is defined twice`);
  scope.names.add(name);
}

function visible(scope: Scope | undefined, name: string): boolean {
  for (let at = scope; at; at = at.outer) if (at.names.has(name)) return true;
  return false;
}
