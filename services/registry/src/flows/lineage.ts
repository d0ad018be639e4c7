import { createHash } from 'node:crypto';
import { type Edge, type EdgeKind, edge } from '../domain/lineage.ts';
import { announce } from '../message/announce.ts';
import type { Registry } from '../registry.ts';

/** A step of the graph as an event tells of it: from, how, to. */
export type Step = readonly [from: string, kind: EdgeKind, to: string];

/**
 * Adds edges to the graph of a project. Steps whose ends have no place in that graph are passed over: an event may carry any text
 * where a resource name is usual. An edge that is there stays as it is, so handling an event again changes nothing.
 */
export async function addEdges(
  registry: Registry,
  event: { readonly id: string; readonly project: string },
  steps: readonly Step[],
): Promise<void> {
  for (const [from, kind, to] of steps) {
    const added = edge(event.project, from, kind, to);
    if (!added) continue;
    await registry.store.edges.upsert(
      edgeId(added),
      (now) => (now ? undefined : { doc: added, emit: announce.edgeAdded(added, registry.now()) }),
      { cause: event.id },
    );
  }
}

function edgeId({ from, kind, to }: Edge): string {
  return createHash('sha256')
    .update(JSON.stringify([from, kind, to]))
    .digest('hex');
}
