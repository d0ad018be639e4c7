import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestNats } from '@millrace/testing';
import type { Chance } from './scenario.ts';

/** Flips one bit in the middle of the largest block of messages that NATS keeps of a stream. */
export function flipBit(nats: Pick<TestNats, 'dataDir'>, stream: string, chance: Chance): void {
  const blocks = readdirSync(nats.dataDir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes(`/${stream}/msgs/`) && path.endsWith('.blk'))
    .map((path) => join(nats.dataDir, path));
  const largest = blocks.sort((a, b) => statSync(b).size - statSync(a).size)[0];
  if (!largest) throw new Error(`NATS keeps no block of ${stream}`);
  const bytes = readFileSync(largest);
  const at = chance.between(Math.floor(bytes.length / 4), Math.floor((bytes.length * 3) / 4));
  bytes[at] = bytes[at]! ^ (1 << chance.between(0, 7));
  writeFileSync(largest, bytes);
}
