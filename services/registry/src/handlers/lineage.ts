import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { LineageDirection, LineageService } from '@millrace/contracts/registry';
import { invalidField } from '@millrace/errors';
import { type Implementation, implement } from '@millrace/rpc';
import { type Edge, nodeKind, reach } from '../domain/lineage.ts';
import { edgeKinds, nodeKinds } from '../message/words.ts';
import type { Registry } from '../registry.ts';

/** Edges read for a set of resources; more than an answer shows. */
const maxEdges = 5000;

export function lineageService(registry: Registry): Implementation {
  const { edges } = registry.store;

  return implement(LineageService, {
    async getLineage(request) {
      const { resource, direction } = request;
      if (!nodeKind(resource)) {
        const allowed =
          'a run, training set, feature view, source, pipeline, pipeline run, model version, deployment, data set, trigger or schedule';
        throw invalidField('resource', `${JSON.stringify(resource.slice(0, 120))} has no lineage`, allowed);
      }
      const times = new Map<Edge, number>();
      let cut = false;
      const found = await reach(
        {
          resource,
          depth: request.depth || 5,
          up: direction !== LineageDirection.DOWNSTREAM,
          down: direction !== LineageDirection.UPSTREAM,
        },
        async (resources, way) => {
          const where = way === 'up' ? { to: { in: resources } } : { from: { in: resources } };
          const { items, next } = await edges.find({ where, limit: maxEdges });
          cut ||= next !== undefined;
          for (const item of items) times.set(item.doc, item.createdAtMs);
          return items.map((item) => item.doc);
        },
      );
      return {
        nodes: [...found.nodes].map(([name, distance]) => {
          const kind = nodeKind(name);
          return { resource: name, distance, ...(kind ? { kind: nodeKinds.toWire(kind) } : {}) };
        }),
        edges: found.edges.map((row) => ({
          from: row.from,
          to: row.to,
          kind: edgeKinds.toWire(row.kind),
          createTime: timestampFromMs(times.get(row) ?? 0),
        })),
        truncated: found.truncated || cut,
      };
    },
  });
}
