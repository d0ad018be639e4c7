import { randomUUID } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { access, constants, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CodedError, notFound } from '@millrace/errors';
import { hexOf } from './digest.ts';
import { absent, faultOf } from './faults.ts';
import type { BlobInfo, BlobStore, Digest } from './port.ts';
import { createRanges } from './ranges.ts';
import { digestsOn, namedIn, shelvesOf } from './shelves.ts';
import { everything, gather, intake, verified } from './stream.ts';
import { createSync } from './sync.ts';
import { createTurns } from './turns.ts';
import { verifyEach } from './verify.ts';

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

  async function fileOf(digest: Digest): Promise<Stats | undefined> {
    const path = pathOf(digest);
    try {
      const found = await stat(path).catch(absent);
      return found?.isFile() ? found : undefined;
    } catch (error) {
      throw faultOf(digest, error);
    }
  }

  async function statOf(digest: Digest): Promise<BlobInfo | undefined> {
    const found = await fileOf(digest);
    return found && { digest, sizeBytes: found.size };
  }

  async function markOf(digest: Digest): Promise<string> {
    const found = await fileOf(digest);
    if (!found) throw notFound(`blob ${digest}`);
    return `${found.size}:${found.ctimeMs}`;
  }

  async function* read(
    digest: Digest,
    start = 0,
    length = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<Uint8Array> {
    if (!(await fileOf(digest))) throw notFound(`blob ${digest}`);
    if (length <= 0) return;
    try {
      yield* createReadStream(pathOf(digest), { start, end: start + length - 1, highWaterMark: readBytes });
    } catch (error) {
      throw faultOf(digest, error);
    }
  }

  const ranges = createRanges(markOf, read);

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
    get: (digest, range) => (range ? ranges(digest, range) : verified(digest, read(digest))),
    bytes: (digest, options) => gather(store.get(digest), options?.maxBytes),
    async localPath(digest) {
      for await (const _ of store.get(digest));
      return pathOf(digest);
    },
    stat: statOf,
    touch: (digest) =>
      inTurn(digest, async () => {
        const info = await statOf(digest);
        const now = new Date();
        if (info) await utimes(pathOf(digest), now, now);
        return info;
      }),
    async list(options = {}) {
      const found: BlobInfo[] = [];
      const after = options.after ?? '';
      for (const shelf of await shelvesOf(folder)) {
        if (options.after && shelf < hexOf(options.after).slice(0, 2)) continue;
        for (const digest of await digestsOn(folder, shelf)) {
          if (digest <= after) continue;
          const info = await statOf(digest);
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
    verify: (options = {}) => verifyEach(store, namedIn(folder), options.signal),
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
