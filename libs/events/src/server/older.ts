import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fetchFrom, type Progress } from './apt.ts';
import { binaryName, cacheFolder, moveIntoCache, withLock } from './cache.ts';
import { versionOf } from './command.ts';
import type { FoundServer } from './find.ts';

/** Suites of Debian by the version of nats-server they carry. */
const suites: Readonly<Record<string, string>> = { '2.9.10': 'bookworm', '2.10.27': 'trixie' };

/**
 * Gets an older server, to test against: through the machine's own apt configuration, into a cache of its own, so that
 * no suite is ever started with it. Undefined where it cannot be had; `progress` tells why.
 */
export async function findOlderServer(
  version: '2.9.10' | '2.10.27',
  progress: Progress = () => {},
): Promise<FoundServer | undefined> {
  const cache = join(dirname(cacheFolder(process.env)), 'older-nats-server');
  const path = join(cache, version, binaryName);
  const cached = async () =>
    (await versionOf(path)) === version ? { path, version, from: 'cache' as const } : undefined;
  return (
    (await cached()) ??
    withLock(cache, async () => {
      const found = await cached();
      if (found) return found;
      const work = await mkdtemp(join(cache, '.work-'));
      try {
        const isWanted = (carried: string) => carried === version;
        const prepared = await fetchFrom(work, progress, () => [suites[version]!], isWanted);
        if (!prepared) return undefined;
        return { path: await moveIntoCache(prepared.folder, cache, version), version, from: 'apt' as const };
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    })
  );
}
