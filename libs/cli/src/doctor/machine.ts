import { accessSync, constants, existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { from } from '@millrace/errors';
import { bytes } from '../show/format.ts';
import { lockOwner } from '../suite/lock.ts';
import { members, root } from '../suite/members.ts';
import { isFree } from '../suite/ports.ts';
import { bad, type Finding, good, note } from './finding.ts';

/** The Node that runs this, and the packages that carry programs for this platform. */
export function checkNode(): Finding[] {
  const major = Number(process.versions.node.split('.')[0]);
  const node = `Node ${process.versions.node} on ${process.platform}-${process.arch}`;
  const fix =
    'run millrace through npm (npm start, npx millrace), which brings Node 24, or install Node 24 or newer';
  return [major >= 24 ? good(node) : bad(`${node} is older than 24`, fix), ...platformPackages()];
}

/** Packages with native programs, looked up from the service that uses them. */
const native = [
  { service: 'serving', name: 'onnxruntime-node' },
  { service: 'feature-store', name: '@duckdb/node-api' },
] as const;

function platformPackages(): Finding[] {
  return native.map(({ service, name }) => {
    const require = createRequire(`${root}services/${service}/package.json`);
    try {
      require(name);
      return good(`${name} works here`);
    } catch (error) {
      const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
      return bad(`${name} does not work: ${why}`, 'run npm ci; without --omit=optional');
    }
  });
}

/** Whether there is a NATS server to start, or one that is named. */
export async function checkNats(env: Readonly<NodeJS.ProcessEnv>): Promise<Finding[]> {
  if (env.NATS_URL) return [note('NATS_URL is set: that NATS is used, and none is started')];
  const { findNatsServer, judgeVersion } = await import('@millrace/events');
  try {
    const { path, version, from: source } = await findNatsServer({ env });
    const { advice } = judgeVersion(version);
    const text = `nats-server ${version} (${source}): ${path}`;
    return [advice ? note(text, advice) : good(text)];
  } catch (error) {
    return [bad(from(error).message, 'install nats-server, or set NATS_URL')];
  }
}

const leastFreeBytes = 1024 ** 3;

/** Whether data can be written, and how much room there is. */
export async function checkDataDir(dataDir: string): Promise<Finding[]> {
  let folder = resolve(dataDir);
  const there = existsSync(folder);
  while (!existsSync(folder)) folder = dirname(folder);
  const text = there ? `data folder ${resolve(dataDir)}` : `data folder ${resolve(dataDir)} will be made`;
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return [bad(`${text}: ${folder} cannot be written`, 'change its permissions, or use another --data-dir')];
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const room = `${text}, ${bytes(free)} free`;
  return [free < leastFreeBytes ? bad(room, 'free at least 1 GiB, or use another --data-dir') : good(room)];
}

/** Whether the usual ports are free; a suite that runs has them. */
export async function checkPorts(dataDir: string): Promise<Finding[]> {
  if (lockOwner(resolve(dataDir))) return [];
  const taken: number[] = [];
  for (const { portOffset } of members) if (!(await isFree(7101 + portOffset))) taken.push(7101 + portOffset);
  if (taken.length === 0) return [good(`ports 7101 to ${7100 + members.length} are free`)];
  return [
    note(
      `ports ${taken.join(', ')} are taken; the services would use others`,
      'or choose with millrace up --port-base',
    ),
  ];
}
