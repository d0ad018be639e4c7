import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Prepared, Progress } from './apt.ts';
import { binaryName } from './cache.ts';
import { runCommand, versionOf } from './command.ts';
import { releaseVersion } from './version.ts';

const architectures: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: 'amd64',
  arm64: 'arm64',
};
const systems: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  linux: 'linux',
  darwin: 'darwin',
  win32: 'windows',
};

/** The line of a SHA256SUMS file that names `file`; undefined when there is none. */
export function digestIn(sums: string, file: string): string | undefined {
  for (const line of sums.split('\n')) {
    const match = /^([0-9a-f]{64})\s+\*?(\S+)$/i.exec(line.trim());
    if (match?.[2] === file) return match[1]!.toLowerCase();
  }
  return undefined;
}

/**
 * Gets the official release from GitHub into `work` and checks it against the release's SHA256SUMS. Undefined when
 * GitHub does not answer within two seconds, or there is no build for this machine.
 */
export async function fetchRelease(work: string, progress: Progress): Promise<Prepared | undefined> {
  const [system, architecture] = [systems[process.platform], architectures[process.arch]];
  if (!system || !architecture) return undefined;
  const base = `https://github.com/nats-io/nats-server/releases/download/v${releaseVersion}`;
  const name = `nats-server-v${releaseVersion}-${system}-${architecture}`;
  const file = `${name}.${system === 'windows' ? 'zip' : 'tar.gz'}`;
  progress(`fetching nats-server ${releaseVersion} from github.com …`);
  try {
    const sums = Buffer.from(await get(`${base}/SHA256SUMS`, 2_000, 10_000)).toString();
    const expected = digestIn(sums, file);
    if (!expected) return miss(`the release has no ${file}`);
    const archive = await get(`${base}/${file}`, 5_000, 180_000);
    const actual = createHash('sha256').update(archive).digest('hex');
    if (actual !== expected) return miss(`${file} has the digest ${actual}, not ${expected}`);
    await writeFile(join(work, file), archive);
    const opened = await runCommand('tar', ['-xf', file], { cwd: work, timeoutMs: 60_000 });
    if (!opened.ok) return miss(`the archive could not be unpacked: ${opened.output.trim()}`);
    const version = await versionOf(join(work, name, binaryName));
    if (!version) return miss('its nats-server does not run on this machine');
    const folder = join(work, 'prepared-release');
    await mkdir(folder);
    await rename(join(work, name, binaryName), join(folder, binaryName));
    return { folder, version };
  } catch (error) {
    return miss(`github.com cannot be reached (${error instanceof Error ? error.message : 'no answer'})`);
  }

  function miss(reason: string): undefined {
    progress(`  ${reason}`);
    return undefined;
  }
}

/** Reads a URL; gives up when no answer has begun after `answerMs`, or it is not complete after `totalMs`. */
async function get(url: string, answerMs: number, totalMs: number): Promise<Uint8Array> {
  const stop = new AbortController();
  const total = setTimeout(() => stop.abort(new Error(`not complete after ${totalMs} ms`)), totalMs);
  const answer = setTimeout(() => stop.abort(new Error(`no answer within ${answerMs} ms`)), answerMs);
  try {
    const response = await fetch(url, { signal: stop.signal });
    clearTimeout(answer);
    if (!response.ok) throw new Error(`status ${response.status} for ${url}`);
    return new Uint8Array(await response.arrayBuffer());
  } finally {
    clearTimeout(total);
    clearTimeout(answer);
  }
}
