import { join } from 'node:path';
import { type BlobInfo, type BlobStore, type Digest, openBlobs } from '@millrace/blobs';
import { names } from '@millrace/contracts';
import { ModelVersionState, type RegistryService } from '@millrace/contracts/registry';
import { CodedError, isCoded } from '@millrace/errors';
import { checkSafety } from '@millrace/onnx';
import type { Client } from '@millrace/rpc';

/** Where the bytes of a version are. */
interface FetchedModel {
  readonly digest: Digest;
  /** Reads them from the local cache, checked against their digest; what is missing there or damaged is fetched again. */
  bytes(): Promise<Uint8Array>;
}

/** The registry, as serving sees it, with a local cache of what it gave. */
export interface ModelSource {
  /** The version an alias points to, 0 when it points to none, and its place in the alias's history. */
  resolveAlias(
    model: string,
    alias: string,
  ): Promise<{ readonly version: number; readonly revision: number }>;
  /** Fetches a version unless the cache has its digest. Throws NOT_FOUND, MODEL_NOT_READY, MODEL_TOO_LARGE, MODEL_UNSAFE. */
  fetch(model: string, version: number, digest: string): Promise<FetchedModel>;
  /** Makes the cache fit its bounds: what was used longest ago goes, but nothing of `inUse`. Answers how many went. */
  prune(inUse: ReadonlySet<string>): Promise<number>;
  close(): Promise<void>;
}

export interface ModelSourceOptions {
  readonly registry: Client<typeof RegistryService>;
  /** The cache's folder. */
  readonly folder: string;
  readonly maxModelBytes: number;
  readonly maxCacheBytes: number;
  readonly fetchTimeoutMs: number;
  now(): number;
}

/** Deployments are asked about one after the other, again and again, and a stop waits for the one under way. */
const aliasMs = 2_500;

/** What was used a moment ago may be on its way to be loaded. */
const restMs = 10 * 60_000;

export async function createModelSource(options: ModelSourceOptions): Promise<ModelSource> {
  const { registry, maxModelBytes, maxCacheBytes, now } = options;
  const cache: BlobStore = await openBlobs({ url: `file:${join(options.folder, 'models')}` });

  /** When each model of the cache was used last; those of an earlier process long ago. */
  const used = new Map<Digest, number>();

  const read = async (digest: Digest) => {
    try {
      used.set(digest, now());
      return await cache.bytes(digest, { maxBytes: maxModelBytes });
    } catch (error) {
      // A damaged copy is no loss: the registry has the bytes.
      if (isCoded(error, 'data_loss')) await cache.remove(digest);
      throw error;
    }
  };

  const download = async (model: string, version: number): Promise<Digest> => {
    const { project, model: id } = names.model.parse(model);
    const name = names.modelVersion.format({ project, model: id, version: String(version) });
    const stream = registry.downloadModelVersion({ name }, { deadlineMs: options.fetchTimeoutMs });
    const messages = stream[Symbol.asyncIterator]();
    const head = (await messages.next()).value?.payload;
    if (head?.case !== 'modelVersion')
      throw new CodedError('unavailable', 'UNAVAILABLE', 'the registry answered without the version');
    const { state, digest, sizeBytes } = head.value;
    if (state !== ModelVersionState.READY) {
      const rejected = state === ModelVersionState.REJECTED;
      throw notReady(version, rejected ? 'rejected' : 'not ready');
    }
    if (sizeBytes > BigInt(maxModelBytes)) throw tooLarge(Number(sizeBytes), maxModelBytes);
    const chunks = async function* () {
      for (let next = await messages.next(); !next.done; next = await messages.next())
        if (next.value.payload.case === 'chunk') yield next.value.payload.value;
    };
    const stored = await cache.put(chunks(), { expect: digest as Digest, maxBytes: maxModelBytes });
    return stored.digest;
  };

  return {
    async resolveAlias(model, alias) {
      const { project, model: id } = names.model.parse(model);
      const name = names.alias.format({ project, model: id, alias });
      const { alias: found } = await registry.getAlias({ name }, { deadlineMs: aliasMs });
      const version = found?.modelVersion ? Number(names.modelVersion.parse(found.modelVersion).version) : 0;
      return { version, revision: Number(found?.revision ?? 0n) };
    },
    async fetch(model, version, known) {
      let digest = known as Digest;
      const cached = digest && (await read(digest).catch(() => undefined));
      if (!cached) {
        digest = await download(model, version);
        const refusals = checkSafety(await read(digest));
        if (refusals.length > 0) throw unsafe(refusals.map((refusal) => refusal.message).join('; '));
      }
      const bytes = async () => {
        try {
          return await read(digest);
        } catch (error) {
          if (!isCoded(error, 'NOT_FOUND') && !isCoded(error, 'data_loss')) throw error;
          await download(model, version);
          return read(digest);
        }
      };
      return { digest, bytes };
    },
    async prune(inUse) {
      const held: BlobInfo[] = [];
      for (let after: Digest | undefined; ; after = held.at(-1)?.digest) {
        const page = await cache.list(after ? { after } : {});
        if (page.length === 0) break;
        held.push(...page);
      }
      let bytes = held.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const usedAt = ({ digest }: BlobInfo) => used.get(digest) ?? 0;
      let removed = 0;
      for (const blob of held.sort((a, b) => usedAt(a) - usedAt(b))) {
        if (bytes <= maxCacheBytes || usedAt(blob) > now() - restMs) break;
        if (inUse.has(blob.digest)) continue;
        await cache.remove(blob.digest);
        used.delete(blob.digest);
        bytes -= blob.sizeBytes;
        removed += 1;
      }
      return removed;
    },
    close: () => cache.close(),
  };
}

function notReady(version: number, state: string): CodedError {
  return new CodedError(
    'failed_precondition',
    'MODEL_NOT_READY',
    `version ${version} is ${state} in the registry`,
  );
}

function tooLarge(bytes: number, maxBytes: number): CodedError {
  const message = `the model has ${bytes} bytes; allowed: ${maxBytes} (MAX_MODEL_BYTES)`;
  return new CodedError('failed_precondition', 'MODEL_TOO_LARGE', message);
}

function unsafe(reasons: string): CodedError {
  return new CodedError('failed_precondition', 'MODEL_UNSAFE', `the model is not safe to load: ${reasons}`);
}
