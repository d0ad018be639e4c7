import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import type { RegistryService, WatchModelResponseSchema } from '@millrace/contracts/registry';
import { registryEvents } from '@millrace/contracts/registry-events';
import { invalidField, isCoded } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { watchEvents } from '@millrace/service';
import { findAlias } from '../domain/alias.ts';
import {
  aliasMessage,
  decisionMessage,
  evaluationMessage,
  gateMessage,
  modelMessage,
  versionMessage,
} from '../message/resources.ts';
import type { Registry } from '../registry.ts';
import type { ModelRef } from '../store/keys.ts';
import { modelName } from '../store/names.ts';

type Subject = NonNullable<MessageInitShape<typeof WatchModelResponseSchema>['subject']>;

/** The events of a model, its versions, aliases, gates, evaluations and decisions. */
const { lineageEdgeAdded, ...watched } = registryEvents;
const types = Object.values(watched)
  .filter((event) => event.type !== lineageEdgeAdded.type)
  .map((event) => event.type);

export function watchHandlers(registry: Registry): Pick<Handlers<typeof RegistryService>, 'watchModel'> {
  const { store } = registry;

  return {
    async *watchModel(request, context) {
      const ref = names.model.parse(request.name);
      const after = Number(request.afterSequence);
      // The place in the record is taken before the model is read, so that no change falls between the two.
      const last = await store.documents.events.last();
      if (after > last)
        throw invalidField(
          'after_sequence',
          `${after} is beyond the record`,
          `0 to ${last}, the newest number`,
        );
      const start = after || last;
      const stored = await store.model(ref);
      const name = modelName(ref);
      if (after === 0) {
        const value = modelMessage(stored, await store.line(ref));
        yield {
          time: timestampFromMs(stored.updatedAtMs),
          resource: name,
          subject: { case: 'model', value },
        };
      }
      const { signal } = context;
      for await (const event of watchEvents(store.documents, {
        signal,
        after: start,
        project: ref.project,
        types,
      })) {
        if (event.resource !== name && !event.resource.startsWith(`${name}/`)) continue;
        const subject = await subjectOf(registry, ref, event.resource.slice(name.length + 1));
        yield {
          sequence: BigInt(event.sequence),
          time: timestampFromMs(event.timeMs),
          eventType: event.type,
          resource: event.resource,
          ...(subject ? { subject } : {}),
        };
        if (event.type === registryEvents.modelDeleted.type) return;
      }
    },
  };
}

/** What a resource is by now; undefined when it is gone. `path` is its name behind the model's. */
async function subjectOf(registry: Registry, ref: ModelRef, path: string): Promise<Subject | undefined> {
  const { store } = registry;
  const [collection, id = '', , inner = ''] = path.split('/');
  try {
    if (collection === 'versions' && inner) {
      const found = await store.evaluations.get(inner);
      return (
        found && { case: 'evaluation', value: evaluationMessage(found.id, found.doc, found.createdAtMs) }
      );
    }
    if (collection === 'versions') {
      const found = await store.version({ ...ref, version: Number(id) });
      return { case: 'modelVersion', value: versionMessage(found, await store.line(ref)) };
    }
    if (collection === 'aliases') {
      const found = findAlias(await store.line(ref), id);
      return found && { case: 'alias', value: aliasMessage(ref, found) };
    }
    if (collection === 'gates') {
      const found = await store.gate({ ...ref, gate: id });
      return found && { case: 'gate', value: gateMessage(found) };
    }
    if (collection === 'decisions') {
      const found = await store.decision(id);
      return found && { case: 'decision', value: decisionMessage(id, found.doc) };
    }
    return { case: 'model', value: modelMessage(await store.model(ref), await store.line(ref)) };
  } catch (error) {
    if (isCoded(error, 'not_found')) return undefined;
    throw error;
  }
}
