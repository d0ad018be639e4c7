import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CodedError, notFound } from '@millrace/errors';
import { hexOf } from './digest.ts';
import type { BlobInfo, BlobStore, Digest } from './port.ts';
import { everything, gather, intake, isIntact, verified } from './stream.ts';
import { createSync } from './sync.ts';
import { createTurns } from './turns.ts';

const readBytes = 1 << 20;
/** Temporary files older than this were left by a crash. */
const staleMs = 60 * 60 * 1000;

/**
 * Blobs as files: `<folder>/<first two digits>/<64 digits>`. A blob is written under a temporary name, fsynced, renamed,
 * and its folder fsynced, so that after a power cut it is there whole or not at all. `onFatal`: see OpenBlobsOptions.
 */
export async function openFiles(
  folder: string,
  onFatal: (error: CodedError) => void = () => {},
): Promise<BlobStore> {
  const sync = createSync(onFatal);
  const incoming = join(folder, 'incoming');
  await mkdir(incoming, { recursive: true });
  await sweep(incoming);
  // Also while the store is open: what a crash left is too young when the service starts again right after it.
  const sweeps = setInterval(() => void sweep(incoming).catch(() => {}), staleMs).unref();
  const inTurn = createTurns();
  const pathOf = (digest: Digest) => join(folder, hexOf(digest).slice(0, 2), hexOf(digest));

  async function statOf(digest: Digest): Promise<BlobInfo | undefined> {
    const found = await stat(pathOf(digest)).catch(absent);
    return found?.isFile() ? { digest, sizeBytes: found.size } : undefined;
  }

  async function* read(digest: Digest, start = 0, end?: number): AsyncGenerator<Uint8Array> {
    const path = pathOf(digest);
    if (!(await statOf(digest))) throw notFound(`blob ${digest}`);
    if (end !== undefined && end < start) return;
    yield* createReadStream(path, { start, ...(end === undefined ? {} : { end }), highWaterMark: readBytes });
  }

  const store: BlobStore = {
    async put(source, options = {}) {
      sync.refuse();
      const temporary = join(incoming, randomUUID());
      const input = intake(source, options);
      try {
        {
          await using file = await open(temporary, 'wx', 0o640);
          for await (const chunk of input.chunks) await file.writeFile(chunk);
          await sync.file(file);
        }
        const info = input.finish();
        const path = pathOf(info.digest);
        await mkdir(dirname(path), { recursive: true });
        // Also where it is there already: the bytes there may have been damaged, and whoever put them there may have
        // been killed before the folders were synced.
        await inTurn(info.digest, () => rename(temporary, path));
        await sync.folder(dirname(path));
        await sync.folder(folder);
        return info;
      } finally {
        await rm(temporary, { force: true });
      }
    },
    get: (digest, range) =>
      range
        ? read(digest, range.offset, range.length === undefined ? undefined : range.offset + range.length - 1)
        : verified(digest, read(digest)),
    bytes: (digest, options) => gather(store.get(digest), options?.maxBytes),
    async localPath(digest) {
      for await (const _ of store.get(digest));
      return pathOf(digest);
    },
    stat: statOf,
    async list(options = {}) {
      const found: BlobInfo[] = [];
      const after = options.after ? hexOf(options.after) : '';
      for (const shelf of (await readdir(folder)).filter((name) => /^[0-9a-f]{2}$/.test(name)).sort()) {
        if (shelf < after.slice(0, 2)) continue;
        for (const name of (await readdir(join(folder, shelf))).sort()) {
          if (name <= after || !/^[0-9a-f]{64}$/.test(name)) continue;
          const info = await statOf(`sha256:${name}`);
          if (info) found.push(info);
          if (found.length >= (options.limit ?? 1000)) return found;
        }
      }
      return found;
    },
    async remove(digest) {
      await rm(pathOf(digest), { force: true });
    },
    async sweep({ unusedMs, keep, signal }) {
      const beforeMs = Date.now() - unusedMs;
      let removed = 0;
      for await (const { digest } of everything(store, signal))
        if (!keep(digest))
          removed += await inTurn(digest, async () => {
            const found = await stat(pathOf(digest)).catch(absent);
            if (!found || found.mtimeMs >= beforeMs) return 0;
            await rm(pathOf(digest), { force: true });
            return 1;
          });
      return removed;
    },
    presign: async () => undefined,
    async *verify(options = {}) {
      for await (const { digest } of everything(store, options.signal))
        yield { digest, ok: await isIntact(digest, read(digest)) };
    },
    check: async () => {
      sync.refuse();
      await access(folder, constants.R_OK | constants.W_OK);
    },
    close: async () => clearInterval(sweeps),
  };
  return store;
}

async function sweep(incoming: string): Promise<void> {
  const limit = Date.now() - staleMs;
  for (const name of await readdir(incoming)) {
    const found = await stat(join(incoming, name)).catch(absent);
    if (found && found.mtimeMs < limit) await rm(join(incoming, name), { force: true });
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
