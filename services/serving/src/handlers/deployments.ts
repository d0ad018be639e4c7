import { names } from '@millrace/contracts';
import {
  CreateDeploymentRequestSchema,
  CreateDeploymentResponseSchema,
  DeleteDeploymentRequestSchema,
  DeleteDeploymentResponseSchema,
  DeploymentService,
  UpdateDeploymentRequestSchema,
  UpdateDeploymentResponseSchema,
} from '@millrace/contracts/serving';
import type { DocumentStore, RequestLedger, Versioned } from '@millrace/documents';
import { invalidField, versionConflict } from '@millrace/errors';
import { type Implementation, implement } from '@millrace/rpc';
import { mutate, watchEvents } from '@millrace/service';
import { changeSpec, checkEtag, createDeployment, type Deployment, targetKey } from '../domain/deployment.ts';
import { checkLookup } from '../domain/lookup.ts';
import { deploymentMessage, mergeSpec, type SpecField, specFields, specOf } from '../messages.ts';
import type { Routes } from '../serve/live.ts';
import type { Reconciler } from '../serve/reconciler.ts';
import { deploymentKey, nameOf, type ServingStore } from '../store.ts';

export interface DeploymentParts {
  readonly store: ServingStore;
  readonly documents: DocumentStore;
  readonly ledger: RequestLedger;
  readonly reconciler: Reconciler;
  readonly routes: Routes;
  now(): number;
}

const maxPageSize = 1000;
const defaultPageSize = 100;

/** Manages deployments. */
export function deploymentHandlers(parts: DeploymentParts): Implementation {
  const { store, ledger, reconciler, routes } = parts;
  const show = (stored: Versioned<Deployment>) =>
    deploymentMessage({ ...stored, doc: asRunning(stored.doc, stored.id, routes) });
  const wake = (key: string) => void reconciler.reconcile(key).catch(() => undefined);

  return implement(DeploymentService, {
    createDeployment(request, ctx) {
      const { project } = names.project.parse(request.parent, 'parent');
      const options = {
        ledger,
        method: ctx.method,
        project,
        input: CreateDeploymentRequestSchema,
        output: CreateDeploymentResponseSchema,
      };
      return mutate(options, request, async ({ requestId }) => {
        const spec = specOf(request.deployment!);
        if (spec.lookup) checkLookup(spec.lookup);
        const doc = createDeployment(project, request.deploymentId, spec, parts.now());
        const created = await store.create(doc, requestId ? { requestId } : {});
        wake(created.id);
        return { deployment: show(created) };
      });
    },
    async getDeployment({ name }) {
      return { deployment: show(await store.get(keyOf(name))) };
    },
    async listDeployments({ parent, pageSize, pageToken }) {
      const { project } = names.project.parse(parent, 'parent');
      const limit = Math.min(pageSize || defaultPageSize, maxPageSize);
      const page = await store.list(project, limit, pageToken || undefined);
      return { deployments: page.items.map(show), nextPageToken: page.next ?? '' };
    },
    updateDeployment(request, ctx) {
      const message = request.deployment!;
      const { project } = names.deployment.parse(message.name, 'deployment.name');
      const options = {
        ledger,
        method: ctx.method,
        project,
        input: UpdateDeploymentRequestSchema,
        output: UpdateDeploymentResponseSchema,
      };
      return mutate(options, request, async ({ requestId }) => {
        const key = keyOf(message.name, 'deployment.name');
        const fields = fieldsOf(request.updateMask?.paths);
        const update = specOf(message);
        if (update.lookup) checkLookup(update.lookup);
        const changed = await store.change(
          key,
          (doc) => changeSpec(doc, mergeSpec(doc.spec, update, fields), parts.now()),
          writeOptions(checkEtag(message.etag, 'deployment.etag'), requestId),
        );
        wake(key);
        return { deployment: show(changed) };
      });
    },
    deleteDeployment(request, ctx) {
      const { project } = names.deployment.parse(request.name);
      const options = {
        ledger,
        method: ctx.method,
        project,
        input: DeleteDeploymentRequestSchema,
        output: DeleteDeploymentResponseSchema,
      };
      return mutate(options, request, async ({ id }) => {
        const key = keyOf(request.name);
        const { version } = await store.get(key);
        const expect = checkEtag(request.etag);
        if (expect !== undefined && expect !== version) throw versionConflict(request.name, expect, version);
        await store.remove(key, id, expect);
        wake(key);
        return {};
      });
    },
    async *watchDeployments({ parent, name }, { signal }) {
      const { project } = names.project.parse(parent, 'parent');
      if (name && names.deployment.parse(name).project !== project)
        throw invalidField('name', 'a deployment of another project', `a deployment of ${parent}`);
      // The place in the log is taken first: what changes while the first states are read is told again.
      const after = await parts.documents.events.last();
      let token: string | undefined;
      const seen = new Map<string, number>();
      do {
        const page = await store.list(project, maxPageSize, token);
        for (const item of page.items) {
          if (name && nameOf(item.id) !== name) continue;
          seen.set(item.id, item.version);
          yield { deployment: show(item) };
        }
        token = page.next;
      } while (token);
      const types = ['created', 'changed', 'deleted'].map((verb) => `millrace.serving.deployment.${verb}.v1`);
      types.push(
        'millrace.serving.model.loaded.v1',
        'millrace.serving.model.failed.v1',
        'millrace.serving.model.unloaded.v1',
      );
      for await (const event of watchEvents(parts.documents, { signal, after, project, types })) {
        if (name && event.resource !== name) continue;
        const key = keyOf(event.resource);
        const found = await store.find(key);
        if (!found) {
          if (seen.delete(key)) yield { deployment: { name: event.resource }, deleted: true };
          continue;
        }
        seen.set(key, found.version);
        yield { deployment: show(found) };
      }
    },
  });
}

/** A deployment whose statuses tell what answers here: after a start, what was loaded before is loading. */
function asRunning(doc: Deployment, key: string, routes: Routes): Deployment {
  const live = routes.all.get(key)?.targets ?? [];
  const statuses = doc.statuses.map((status, i) => {
    const target = doc.spec.targets[i];
    const running = target && live.find((candidate) => candidate.key === targetKey(target));
    const loadedVersion = running?.version ?? 0;
    if (status.state !== 'ready' || loadedVersion === status.wantedVersion)
      return { ...status, loadedVersion };
    return { ...status, loadedVersion, state: 'loading' as const, reason: 'it is being loaded' };
  });
  return { ...doc, statuses };
}

function keyOf(name: string, field = 'name'): string {
  const { project, deployment } = names.deployment.parse(name, field);
  return deploymentKey(project, deployment);
}

function fieldsOf(paths: readonly string[] | undefined): readonly SpecField[] {
  if (!paths || paths.length === 0) return specFields;
  return paths.map((path) => {
    const root = path.split('.')[0] as SpecField;
    if (!specFields.includes(root))
      throw invalidField('update_mask', JSON.stringify(path.slice(0, 64)), specFields.join(', '));
    return root;
  });
}

function writeOptions(expect: number | undefined, requestId: string | undefined) {
  return { ...(expect === undefined ? {} : { expect }), ...(requestId ? { requestId } : {}) };
}
