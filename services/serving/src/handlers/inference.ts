import { GRPCInferenceService } from '@millrace/contracts/inference';
import { invalidField, notFound } from '@millrace/errors';
import { type Implementation, implement } from '@millrace/rpc';
import type { Deployment } from '../domain/deployment.ts';
import { reloadDeployment, unloadDeployment } from '../domain/deployment.ts';
import type { Port, Signature } from '../domain/signature.ts';
import { mapConcurrently } from '../serve/concurrently.ts';
import type { Infer } from '../serve/infer.ts';
import { chooseTarget, keyOfModelName, type LiveTarget, modelNameOf, type Routes } from '../serve/live.ts';
import type { Reconciler } from '../serve/reconciler.ts';
import type { ServingStore } from '../store.ts';

export interface InferenceParts {
  readonly infer: Infer;
  readonly routes: Routes;
  readonly store: ServingStore;
  readonly reconciler: Reconciler;
  /** Whether requests are taken: false while the service stops. */
  ready(): boolean;
  now(): number;
}

/** Requests of one stream that run at the same time. */
const streamConcurrency = 64;
const extensions = ['model_repository', 'binary_tensor_data', 'stream_infer'];

/** The Open Inference Protocol, version 2. */
export function inferenceHandlers(parts: InferenceParts): Implementation {
  const { infer, routes, store, reconciler } = parts;

  /** The targets a caller means: one version, or all. None when there is no such model. */
  const targetsOf = (modelName: string, version: string): readonly LiveTarget[] => {
    const targets = routes.all.get(keyOfModelName(modelName))?.targets ?? [];
    return version === '' ? targets : targets.filter((target) => String(target.version) === version);
  };

  return implement(GRPCInferenceService, {
    serverLive: async () => ({ live: true }),
    serverReady: async () => ({ ready: parts.ready() }),
    modelReady: async ({ name, version }) => {
      const found = targetsOf(name, version);
      if (!routes.all.has(keyOfModelName(name)) && !(await store.find(keyOfModelName(name))))
        throw notFound(`the model ${JSON.stringify(name.slice(0, 128))}`);
      return { ready: parts.ready() && found.some((target) => version !== '' || !target.spec.shadow) };
    },
    serverMetadata: async () => ({ name: 'millrace', version: '0.1.0', extensions }),
    modelMetadata: async ({ name, version }) => {
      const deployment = routes.find(name);
      const { signature } = chooseTarget(deployment, version, '').model;
      return {
        name,
        versions: [...new Set(targetsOf(name, version).map((target) => String(target.version)))],
        platform: 'onnxruntime_onnx',
        ...metadata(signature),
      };
    },
    modelInfer: (request, ctx) => infer(request, ctx),
    modelStreamInfer: (requests, ctx) =>
      mapConcurrently(requests, streamConcurrency, (request) => infer(request, ctx)),
    repositoryIndex: async ({ repositoryName, ready }) => {
      onlyRepository(repositoryName);
      const models = (await store.all()).flatMap(({ doc }) => index(doc, routes));
      return { models: models.filter((model) => !ready || model.state === 'READY').sort(byName) };
    },
    repositoryModelLoad: async ({ repositoryName, modelName, parameters }) => {
      onlyRepository(repositoryName);
      noParameters(parameters);
      const key = keyOfModelName(modelName);
      await store.change(key, (doc) => reloadDeployment(doc, parts.now()));
      await reconciler.reconcile(key);
      chooseTarget(routes.find(modelName), '', '');
      return {};
    },
    repositoryModelUnload: async ({ repositoryName, modelName, parameters }) => {
      onlyRepository(repositoryName);
      noParameters(parameters);
      const key = keyOfModelName(modelName);
      await store.change(key, (doc) => unloadDeployment(doc, parts.now()));
      await reconciler.reconcile(key);
      return {};
    },
  });
}

interface IndexRow {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

function index(doc: Deployment, routes: Routes): IndexRow[] {
  const name = modelNameOf(doc);
  const live = routes.all.get(`${doc.project}/${doc.id}`)?.targets ?? [];
  const ready = live.map((target) => ({ name, version: String(target.version), state: 'READY', reason: '' }));
  const others = doc.statuses
    .filter((status) => !live.some((target) => target.version === status.wantedVersion))
    .map((status) => ({
      name,
      version: status.wantedVersion ? String(status.wantedVersion) : '',
      state: status.state === 'loading' || status.state === 'ready' ? 'LOADING' : 'UNAVAILABLE',
      reason: status.reason,
    }));
  return [...ready, ...others];
}

function byName(a: IndexRow, b: IndexRow): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : Number(a.version) - Number(b.version);
}

function metadata(signature: Signature) {
  const tensor = (port: Port) => ({
    name: port.name,
    datatype: port.type,
    shape: port.shape.map((dim) => (typeof dim === 'string' ? -1n : BigInt(dim))),
  });
  return { inputs: signature.inputs.map(tensor), outputs: signature.outputs.map(tensor) };
}

function onlyRepository(name: string): void {
  if (name !== '')
    throw invalidField('repository_name', JSON.stringify(name.slice(0, 64)), 'empty: there is one');
}

function noParameters(parameters: object): void {
  const name = Object.keys(parameters)[0];
  if (name !== undefined)
    throw invalidField(
      'parameters',
      JSON.stringify(name.slice(0, 64)),
      'none: models come from the registry',
    );
}
