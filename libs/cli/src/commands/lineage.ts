import {
  GetLineageResponseSchema,
  LineageDirection,
  type LineageEdge,
  LineageEdgeKind,
} from '@millrace/contracts/registry';
import { parseWhole } from '../cli/duration.ts';
import { command } from '../command.ts';
import { withSuite } from '../session.ts';
import { ago, enumName, short } from '../show/format.ts';

export const lineage = command({
  summary: 'Shows what a resource came from and what came of it',
  args: ['RESOURCE'],
  options: {
    upstream: { type: 'boolean', meaning: 'Only what it came from.' },
    downstream: { type: 'boolean', meaning: 'Only what came of it.' },
    depth: { type: 'string', value: 'N', meaning: 'How many steps, 1 to 20. Default: the service chooses.' },
  },
  notes: ['Example: millrace lineage models/flight-delay/versions/3'],
  run: ({ args, options, globals, out }) =>
    withSuite(globals, async ({ lineage: client }) => {
      const given = args[0]!;
      const resource = given.startsWith('projects/') ? given : `projects/${globals.project}/${given}`;
      const one = options.upstream !== options.downstream;
      const direction = !one
        ? LineageDirection.UNSPECIFIED
        : options.upstream
          ? LineageDirection.UPSTREAM
          : LineageDirection.DOWNSTREAM;
      const depth = options.depth === undefined ? 0 : parseWhole(options.depth, '--depth', 1);
      const answer = await client.getLineage({ resource, direction, depth });
      out.item(GetLineageResponseSchema, answer, () => {
        if (answer.edges.length === 0)
          return out.line(`Nothing is known to lead to ${given} or to come of it.`);
        const nowMs = Date.now();
        out.table(answer.edges, [
          { title: 'from', value: (edge: LineageEdge) => short(edge.from), shrink: true },
          { title: '', value: (edge) => `${enumName(LineageEdgeKind, edge.kind)} →` },
          { title: 'to', value: (edge) => short(edge.to), shrink: true },
          { title: 'when', value: (edge) => ago(edge.createTime, nowMs) },
        ]);
        if (answer.truncated) out.line(out.dim('There is more; --depth looks further.'));
      });
      return 0;
    }),
});
