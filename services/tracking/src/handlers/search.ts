import { names } from '@millrace/contracts';
import type { TrackingService } from '@millrace/contracts/tracking';
import { invalidField } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { z } from 'zod';
import { compileFilter } from '../domain/filter/evaluate.ts';
import { type Place, parseOrder, placeOf } from '../domain/filter/order.ts';
import { parseFilter } from '../domain/filter/parser.ts';
import type { Run } from '../domain/run.ts';
import { toRun } from '../messages.ts';
import type { TrackingStore } from '../store/open.ts';
import { rowOf } from '../store/search.ts';
import { createPageTokens, fitting, pageSizeOf } from './page.ts';
import { parseExperiment, viewOf } from './request.ts';

/** Numbers travel as text, because JSON has no NaN and no infinities. */
const tokens = createPageTokens(
  'runs',
  z.object({
    values: z.array(z.union([z.null(), z.object({ n: z.string() }), z.object({ t: z.string() })])).max(8),
    id: z.string().max(32),
  }),
);

export function searchHandlers({
  search,
}: TrackingStore): Pick<Handlers<typeof TrackingService>, 'searchRuns'> {
  return {
    async searchRuns(request, { signal }) {
      const { project } = names.project.parse(request.parent, 'parent');
      const experiments = request.experiments.map((name, i) => {
        const field = `experiments[${i}]`;
        const experiment = parseExperiment(name, field);
        if (experiment.project === project) return experiment.number;
        throw invalidField(field, 'is of another project', `an experiment of projects/${project}`);
      });
      const matches = compileFilter(parseFilter(request.filter));
      const order = parseOrder(request.orderBy);
      const scope = [project, experiments, request.filter, request.orderBy, request.view];
      const found = await search({
        project,
        experiments,
        view: viewOf(request.view),
        matches,
        order,
        signal,
        limit: pageSizeOf(request.pageSize),
        after: fromToken(tokens.parse(scope, request.pageToken), order.length),
      });
      const shown = fitting(found.runs, ({ doc }) => charsOf(doc));
      const last = shown.at(-1);
      const next =
        last && shown.length < found.runs.length ? placeOf(rowOf(last), last.doc.id, order) : found.next;
      return { runs: shown.map(toRun), nextPageToken: next ? tokens.format(scope, toToken(next)) : '' };
    },
  };
}

type TokenPlace = { values: (null | { n: string } | { t: string })[]; id: string };

function toToken({ values, id }: Place): TokenPlace {
  const encoded = values.map((value) => {
    if (value === null) return null;
    return typeof value === 'number' ? { n: String(value) } : { t: value };
  });
  return { values: encoded, id };
}

function fromToken(token: TokenPlace | undefined, keys: number): Place | undefined {
  if (!token) return undefined;
  const values = token.values.map((value) => value && ('n' in value ? Number(value.n) : value.t));
  if (values.length === keys) return { values, id: token.id };
  throw invalidField('page_token', 'is damaged', 'next_page_token of the page before');
}

/** Roughly how long a run's message is. */
function charsOf(run: Run): number {
  let chars = 500;
  for (const { key, value } of run.params) chars += key.length + value.length + 8;
  for (const { key, value } of run.tags) chars += key.length + value.length + 8;
  for (const { key } of run.metrics) chars += key.length + 32;
  return chars;
}
