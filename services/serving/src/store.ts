import { names } from '@millrace/contracts';
import { servingEvents } from '@millrace/contracts/serving-events';
import {
  type DocumentStore,
  defineCollection,
  type EventDraft,
  type Page,
  type Versioned,
} from '@millrace/documents';
import { notFound } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { Decision, Deployment, Happening } from './domain/deployment.ts';
import { deploymentMessage } from './messages.ts';

/** How much one replica has logged of one deployment; its writes carry the events of the log. */
type LogPosition = { readonly project: string; readonly events: number; readonly rows: number };

const deploymentSpec = defineCollection({
  name: 'deployments',
  fields: { project: (doc: Deployment) => doc.project },
  indexes: [['project']],
});

const logSpec = defineCollection({
  name: 'inference-log',
  fields: { project: (doc: LogPosition) => doc.project },
  indexes: [['project']],
});

/** The service's collections. */
export const collections = [deploymentSpec, logSpec];

/** The id under which a deployment is stored. */
export function deploymentKey(project: string, id: string): string {
  return `${project}/${id}`;
}

interface WriteContext {
  readonly requestId?: string;
  readonly cause?: string;
  readonly expect?: number;
}

/** What the service keeps, in its own words. */
export interface ServingStore {
  get(key: string): Promise<Versioned<Deployment>>;
  find(key: string): Promise<Versioned<Deployment> | undefined>;
  list(project: string, limit: number, after?: string): Promise<Page<Deployment>>;
  /** Every deployment of every project. */
  all(): Promise<readonly Versioned<Deployment>[]>;
  create(doc: Deployment, context: WriteContext): Promise<Versioned<Deployment>>;
  /** Decides and writes, with the events of what happened. */
  change(
    key: string,
    decide: (doc: Deployment) => Decision,
    context?: WriteContext,
  ): Promise<Versioned<Deployment>>;
  /** Removes a deployment; `eventId` is the id of the event that tells of it. */
  remove(key: string, eventId: string, expect: number | undefined): Promise<void>;
  /** Tells that a version of a deployment answers no more. */
  recordUnloaded(key: string, modelVersion: string, reason: string): Promise<void>;
  /** Makes events of the inference log durable: InferenceLogged messages in their bytes. */
  log(
    project: string,
    deployment: string,
    events: readonly { readonly rows: number; readonly data: Uint8Array }[],
  ): Promise<void>;
}

export function createServingStore(store: DocumentStore, now: () => number, replica: string): ServingStore {
  const deployments = store.collection(deploymentSpec);
  const logs = store.collection(logSpec);

  const tell = (doc: Deployment, happened: readonly Happening[], version: number): EventDraft[] =>
    happened.map((event) => draftOf(doc, event, version, now()));

  return {
    async get(key) {
      const found = await deployments.get(key);
      if (!found) throw notFound(nameOf(key));
      return found;
    },
    find: (key) => deployments.get(key),
    list: (project, limit, after) =>
      deployments.find({ where: { project }, limit, ...(after ? { after } : {}) }),
    async all() {
      const found: Versioned<Deployment>[] = [];
      let after: string | undefined;
      do {
        const page = await deployments.find({ limit: 500, ...(after ? { after } : {}) });
        found.push(...page.items);
        after = page.next;
      } while (after);
      return found;
    },
    create: (doc, { requestId, cause }) =>
      deployments.insert(deploymentKey(doc.project, doc.id), doc, {
        emit: tell(doc, [{ kind: 'created' }], 1),
        ...(requestId ? { requestId } : {}),
        ...(cause ? { cause } : {}),
      }),
    change: (key, decide, context = {}) =>
      deployments.change(
        key,
        (doc, version) => {
          const decision = decide(doc);
          return decision && { doc: decision.doc, emit: tell(decision.doc, decision.happened, version + 1) };
        },
        context,
      ),
    async remove(key, eventId, expect) {
      const found = await deployments.get(key);
      if (!found) throw notFound(nameOf(key));
      const deployment = nameOf(key);
      const emit = [
        draft(servingEvents.deploymentDeleted, {
          id: eventId,
          project: found.doc.project,
          resource: deployment,
          timeMs: now(),
          data: { deployment },
        }),
      ];
      await deployments.remove(key, { ...(expect === undefined ? {} : { expect }), emit });
    },
    async recordUnloaded(key, modelVersion, reason) {
      const deployment = nameOf(key);
      const project = key.slice(0, key.indexOf('/'));
      const event = draft(servingEvents.modelUnloaded, {
        project,
        resource: deployment,
        timeMs: now(),
        data: { deployment, modelVersion, reason },
      });
      await logs.upsert(`${key}@${replica}`, (doc) => ({
        doc: doc ?? { project, events: 0, rows: 0 },
        emit: [event],
      }));
    },
    async log(project, deployment, events) {
      const emit = events.map(({ data }) =>
        draft(servingEvents.inferenceLogged, { project, resource: deployment, timeMs: now(), data }),
      );
      const rows = events.reduce((sum, event) => sum + event.rows, 0);
      await logs.upsert(`${project}/${names.deployment.parse(deployment).deployment}@${replica}`, (doc) => ({
        doc: { project, events: (doc?.events ?? 0) + emit.length, rows: (doc?.rows ?? 0) + rows },
        emit,
      }));
    },
  };
}

/** The resource name of a stored deployment. */
export function nameOf(key: string): string {
  const at = key.indexOf('/');
  return names.deployment.format({ project: key.slice(0, at), deployment: key.slice(at + 1) });
}

/** The resource name of a version; empty for version 0. */
export function versionName(model: string, version: number): string {
  return version ? `${model}/versions/${version}` : '';
}

function draftOf(doc: Deployment, event: Happening, version: number, timeMs: number): EventDraft {
  const deployment = names.deployment.format({ project: doc.project, deployment: doc.id });
  const about = { project: doc.project, resource: deployment, timeMs };
  switch (event.kind) {
    case 'created': {
      const data = {
        deployment: deploymentMessage({ doc, version, createdAtMs: timeMs, updatedAtMs: timeMs }),
      };
      return draft(servingEvents.deploymentCreated, { ...about, data });
    }
    case 'changed': {
      const message = deploymentMessage({ doc, version, createdAtMs: undefined, updatedAtMs: timeMs });
      const data = { deployment: message, changedFields: [...event.fields] };
      return draft(servingEvents.deploymentChanged, { ...about, data });
    }
    case 'loaded':
      return draft(servingEvents.modelLoaded, {
        ...about,
        data: {
          deployment,
          modelVersion: versionName(event.target.model, event.version),
          alias: event.target.alias,
          previousModelVersion: versionName(event.target.model, event.previousVersion),
          digest: event.digest,
          shadow: event.target.shadow,
          loadMs: event.loadMs,
          memoryBytes: BigInt(Math.round(event.memoryBytes)),
        },
      });
    case 'failed':
      return draft(servingEvents.modelFailed, {
        ...about,
        data: {
          deployment,
          modelVersion: versionName(event.target.model, event.version) || event.target.model,
          alias: event.target.alias,
          reason: event.reason,
          keptModelVersion: versionName(event.target.model, event.keptVersion),
        },
      });
    case 'unloaded':
      return draft(servingEvents.modelUnloaded, {
        ...about,
        data: { deployment, modelVersion: versionName(event.model, event.version), reason: event.reason },
      });
  }
}
