/** What a resource in the graph is. */
export type NodeKind =
  | 'SOURCE'
  | 'FEATURE_VIEW'
  | 'TRAINING_SET'
  | 'RUN'
  | 'PIPELINE'
  | 'PIPELINE_RUN'
  | 'MODEL_VERSION'
  | 'DEPLOYMENT'
  | 'DATASET'
  | 'TRIGGER'
  | 'SCHEDULE';

export type EdgeKind = 'READ_BY' | 'PRODUCED' | 'TRAINED' | 'DEPLOYED_BY' | 'EVALUATED' | 'STARTED';

/** A step from one resource to one that came of it; full resource names. */
export interface Edge {
  readonly project: string;
  readonly from: string;
  readonly to: string;
  readonly kind: EdgeKind;
}

const shapes: readonly (readonly [RegExp, NodeKind])[] = [
  [/^projects\/[^/]+\/sources\/[^/]+$/, 'SOURCE'],
  [/^projects\/[^/]+\/featureViews\/[^/]+$/, 'FEATURE_VIEW'],
  [/^projects\/[^/]+\/trainingSets\/[^/]+$/, 'TRAINING_SET'],
  [/^projects\/[^/]+\/runs\/[^/]+$/, 'RUN'],
  [/^projects\/[^/]+\/pipelines\/[^/]+$/, 'PIPELINE'],
  [/^projects\/[^/]+\/pipelineRuns\/[^/]+$/, 'PIPELINE_RUN'],
  [/^projects\/[^/]+\/models\/[^/]+\/versions\/[1-9]\d*$/, 'MODEL_VERSION'],
  [/^projects\/[^/]+\/deployments\/[^/]+$/, 'DEPLOYMENT'],
  [/^projects\/[^/]+\/datasets\/[^/]+$/, 'DATASET'],
  [/^projects\/[^/]+\/triggers\/[^/]+$/, 'TRIGGER'],
  [/^projects\/[^/]+\/schedules\/[^/]+$/, 'SCHEDULE'],
];

/** What a resource is, by its name; undefined when it has no place in the graph. */
export function nodeKind(resource: string): NodeKind | undefined {
  return shapes.find(([shape]) => shape.test(resource))?.[1];
}

/** An edge between two resources of a project; undefined unless both have a place in its graph and differ. */
export function edge(project: string, from: string, kind: EdgeKind, to: string): Edge | undefined {
  const prefix = `projects/${project}/`;
  if (from === to || !from.startsWith(prefix) || !to.startsWith(prefix)) return undefined;
  if (from.length > 2048 || to.length > 2048 || !nodeKind(from) || !nodeKind(to)) return undefined;
  return { project, from, to, kind };
}

/** The part of the graph around a resource that is known so far. */
export interface Reach {
  /** Resource → edges away. */
  readonly nodes: ReadonlyMap<string, number>;
  readonly edges: readonly Edge[];
  readonly truncated: boolean;
}

/** Most nodes of an answer. */
const maxNodes = 1000;

export interface ReachQuery {
  readonly resource: string;
  readonly up: boolean;
  readonly down: boolean;
  readonly depth: number;
}

/**
 * Walks the graph breadth first: what a resource came of when `up`, what came of it when `down`. With both, ancestors
 * and descendants, not siblings. `neighbours` reads the edges that lead to, or from, some resources.
 */
export async function reach(
  query: ReachQuery,
  neighbours: (resources: readonly string[], way: 'up' | 'down') => Promise<readonly Edge[]>,
): Promise<Reach> {
  const nodes = new Map([[query.resource, 0]]);
  const edges = new Map<string, Edge>();
  let truncated = false;
  for (const way of ['up', 'down'] as const) {
    if (!query[way]) continue;
    let frontier = [query.resource];
    for (let distance = 1; distance <= query.depth && frontier.length > 0; distance++) {
      const next = new Set<string>();
      for (const found of await neighbours(frontier, way)) {
        const other = way === 'up' ? found.from : found.to;
        if (!nodes.has(other)) {
          if (nodes.size >= maxNodes) {
            truncated = true;
            continue;
          }
          nodes.set(other, distance);
          next.add(other);
        }
        edges.set(JSON.stringify([found.from, found.kind, found.to]), found);
      }
      frontier = [...next];
    }
  }
  return { nodes, edges: [...edges.values()], truncated };
}
