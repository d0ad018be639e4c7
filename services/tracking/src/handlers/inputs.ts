import { type Dataset, TrackingService } from '@millrace/contracts/tracking';
import type { Versioned } from '@millrace/documents';
import type { Handlers } from '@millrace/rpc';
import { z } from 'zod';
import type { DatasetInput } from '../domain/dataset-input.ts';
import { setPairs } from '../domain/pair.ts';
import { refuseDeleted } from '../domain/run.ts';
import { toInput } from '../messages.ts';
import type { TrackingStore } from '../store/open.ts';
import { createPageTokens, fitting, pageSizeOf } from './page.ts';
import { type Once, parseRun } from './request.ts';

const tokens = createPageTokens('inputs', z.string());

export function inputHandlers(
  { runs, inputs }: TrackingStore,
  once: Once,
): Pick<Handlers<typeof TrackingService>, 'logInputs' | 'listInputs'> {
  return {
    async logInputs(request) {
      const { project, id } = parseRun(request.name, 'name');
      return once(TrackingService.method.logInputs, project, request, async () => {
        refuseDeleted((await runs.get(project, id)).doc);
        const list = request.inputs.map(({ dataset, tags }) => {
          const { name, digest, sourceType, source, schema, profile } = dataset as Dataset;
          return {
            project,
            run: id,
            name,
            digest,
            sourceType,
            source,
            schema,
            profile,
            tags: setPairs([], tags),
          };
        });
        return { inputs: (await inputs.log(project, id, list)).map(withoutTexts) };
      });
    },

    async listInputs(request) {
      const { project, id } = parseRun(request.parent, 'parent');
      await runs.get(project, id);
      const scope = [request.parent];
      // Schemas and profiles may be large: few are read at a time.
      const limit = Math.min(pageSizeOf(request.pageSize), 100);
      const page = await inputs.page(project, id, limit, tokens.parse(scope, request.pageToken));
      const shown = fitting(page.items, ({ doc }) => charsOf(doc));
      const last = shown.length < page.items.length || page.next ? shown.at(-1) : undefined;
      return {
        inputs: shown.map(toInput),
        nextPageToken: last ? tokens.format(scope, last.doc.place) : '',
      };
    },
  };
}

/** What the caller just sent need not travel back. */
function withoutTexts(found: Versioned<DatasetInput>) {
  return toInput({ ...found, doc: { ...found.doc, source: '', schema: '', profile: '' } });
}

function charsOf(input: DatasetInput): number {
  let chars = 1000 + input.source.length + input.schema.length + input.profile.length;
  for (const { key, value } of input.tags) chars += key.length + value.length;
  return chars;
}
