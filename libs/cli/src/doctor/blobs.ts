import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { members } from '../suite/members.ts';
import { bad, type Finding, good } from './finding.ts';

/** Reads every blob that lies in files and compares its bytes with the digest it is named by. */
export async function checkBlobs(dataDir: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name } of members) {
    const folder = join(dataDir, name, 'blobs');
    let checked = 0;
    const broken: string[] = [];
    for (const shelf of await namesIn(folder)) {
      if (!/^[0-9a-f]{2}$/.test(shelf)) continue;
      for (const hex of await namesIn(join(folder, shelf))) {
        checked++;
        if ((await digestOf(join(folder, shelf, hex))) !== hex) broken.push(join(folder, shelf, hex));
      }
    }
    if (broken.length > 0) {
      const fix = 'restore them from a copy; nothing that names their digest can be read until then';
      findings.push(
        bad(`${name}: ${broken.length} of ${checked} blobs are damaged: ${broken.join(', ')}`, fix),
      );
    } else if (checked > 0) findings.push(good(`${name}: ${checked} blobs, all sound`));
  }
  return findings;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort();
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
