import { defineSettings } from '@millrace/config';
import { registryEvents } from '@millrace/contracts';
import { LineageService } from '@millrace/contracts/registry';
import { type DocumentStore, defineCollection } from '@millrace/documents';
import { draft } from '@millrace/events';
import { implement } from '@millrace/rpc';
import { commonSettings, type Parts, type ServiceSpec } from '@millrace/service';

/** Counts, so that changes and their events can be made. */
export const counters = defineCollection({
  name: 'counters',
  fields: { project: (doc: { project: string; count: number }) => doc.project },
  indexes: [['project']],
});

/** Adds one and tells of it. */
export async function count(store: DocumentStore, project: string, timeMs = Date.now()): Promise<void> {
  const resource = `projects/${project}/models/m`;
  await store.collection(counters).upsert(project, (doc) => ({
    doc: { project, count: (doc?.count ?? 0) + 1 },
    emit: [draft(registryEvents.modelDeleted, { project, resource, timeMs, data: { model: resource } })],
  }));
}

/** A small service: its one call answers after as many milliseconds as the name's last segment says. */
export function testSpec(more: (store: DocumentStore) => Partial<Parts> = () => ({})) {
  const spec: ServiceSpec<typeof commonSettings> = {
    name: 'registry',
    context: 'registry',
    settings: defineSettings(commonSettings),
    build: async (_config, deps) => {
      const store = await deps.documents([counters]);
      const lineage = implement(LineageService, {
        getLineage: async ({ resource }) => {
          await new Promise((done) => setTimeout(done, Number(resource.split('/').at(-1))));
          return {};
        },
      });
      return { store, implementations: [lineage], ...more(store) };
    },
  };
  return spec;
}
