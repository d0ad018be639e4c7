import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { openBlobs } from '@millrace/blobs';
import { loadSettings } from '@millrace/config';
import { LineageService, type ModelVersion, RegistryService } from '@millrace/contracts/registry';
import { createRequestLedger, openDocuments } from '@millrace/documents';
import { createModel, defaultLimits, logisticClassifier, writeModel } from '@millrace/onnx';
import { createClient, grpcTransport, silent } from '@millrace/rpc';
import { type RunningService, startService } from '@millrace/service';
import { tempDir } from '@millrace/testing';
import { settings } from '../src/config.ts';
import { createExaminer } from '../src/examination/examiner.ts';
import { celExpressions } from '../src/expression/expressions.ts';
import type { Registry } from '../src/registry.ts';
import { collections } from '../src/store/collections.ts';
import { registryStore } from '../src/store/store.ts';
import { build } from '../src/wiring.ts';

export type RunningRegistry = Awaited<ReturnType<typeof startRegistry>>;

/** A registry in this process, with SQLite and files in a temporary folder, reached through a socket. */
export async function startRegistry(env: Record<string, string> = {}) {
  const folder = tempDir();
  // Without a NATS of its own a test reaches none: nothing listens on port 1.
  const config = loadSettings(settings, { DATA_DIR: folder.path, NATS_URL: 'nats://127.0.0.1:1', ...env });
  const spec = { name: 'registry', context: 'registry', settings, build } as const;
  let service: RunningService;
  let transport: ReturnType<typeof grpcTransport>;
  const start = async () => {
    service = await startService(spec, { config, log: silentLog });
    transport = grpcTransport({ address: service.address });
  };
  await start();
  return {
    folder: folder.path,
    get address() {
      return service.address;
    },
    get models() {
      return createClient(RegistryService, transport, { deadlineMs: 20_000 });
    },
    get lineage() {
      return createClient(LineageService, transport, { deadlineMs: 20_000 });
    },
    async restart() {
      transport.close();
      await service.stop();
      await start();
    },
    async stop() {
      transport.close();
      await service.stop();
      await folder.remove();
    },
  };
}

/** What the registry's flows and handlers work with, in a folder, without server and process. */
export async function openRegistry(folder: string, now = Date.now): Promise<Registry> {
  const documents = await openDocuments({ url: `sqlite:${join(folder, 'documents.db')}`, collections });
  const blobs = await openBlobs({ url: `file:${join(folder, 'blobs')}` });
  return {
    store: registryStore(documents),
    blobs,
    examiner: createExaminer(blobs, defaultLimits),
    maxModelBytes: defaultLimits.maxBytes,
    ledger: createRequestLedger(documents),
    expressions: celExpressions(),
    log: silentLog,
    now,
  };
}

const silentLog = silent as unknown as Parameters<typeof startService>[1]['log'];

/** An ONNX file; different weights make different bytes. */
export function modelFile(weight = 0.5): Uint8Array {
  const part = logisticClassifier({ input: 'x', output: 'probability', weights: [weight, -1], bias: 0.25 });
  return writeModel(
    createModel({
      ...part,
      inputs: [{ name: 'x', type: 'float32', shape: ['rows', 2] }],
      outputs: [{ name: 'probability', type: 'float32', shape: ['rows', 1] }],
    }),
  );
}

export const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** The messages of an upload: a header, and the bytes in chunks of a thousand. */
export async function* upload(header: UploadHeader, bytes: Uint8Array) {
  yield { payload: { case: 'header' as const, value: header } };
  for (let at = 0; at < bytes.length; at += 1000)
    yield { payload: { case: 'chunk' as const, value: bytes.subarray(at, at + 1000) } };
}

interface UploadHeader {
  parent: string;
  digest?: string;
  requestId?: string;
  modelVersion?: { tags?: { key: string; value: string }[] } & Partial<
    Pick<ModelVersion, 'description' | 'sourceRun' | 'trainingSet' | 'pipelineRun'>
  >;
}

export const project = 'projects/default';

/** A model with versions of different weights, all READY; answers its name. */
export async function modelWithVersions(registry: RunningRegistry, modelId: string, versions: number) {
  const { model } = await registry.models.createModel({ parent: project, modelId });
  const parent = model!.name;
  for (let i = 1; i <= versions; i++)
    await registry.models.uploadModelVersion(upload({ parent }, modelFile(i)));
  return parent;
}

/** Records an AUC on a data set. */
export function evaluate(registry: RunningRegistry, version: string, dataset: string, auc: number) {
  const evaluation = { dataset, rowCount: 1000n, metrics: [{ name: 'auc', value: auc }] };
  return registry.models.recordEvaluation({ parent: version, evaluation });
}
