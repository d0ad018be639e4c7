/** The guard: reads what it must remove from its standard input and removes what is left when that ends. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface Line {
  readonly add: boolean;
  readonly kind: 'process' | 'mount' | 'folder';
  readonly what: string | number;
}

const left = new Map<string, Line>();

function remove({ kind, what }: Line): void {
  try {
    if (kind === 'process') process.kill(Number(what), 'SIGKILL');
    // Lazily: a process that was killed just now may not be gone yet.
    else if (kind === 'mount') spawnSync('umount', ['-l', String(what)]);
    else rmSync(String(what), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } catch {
    // It is gone already.
  }
}

createInterface({ input: process.stdin })
  .on('line', (text) => {
    const line = JSON.parse(text) as Line;
    const key = `${line.kind} ${line.what}`;
    if (line.add) left.set(key, line);
    else left.delete(key);
  })
  .on('close', () => {
    const lines = [...left.values()];
    // Processes first: they write into the folders. Mounts before the folders they lie in.
    for (const kind of ['process', 'mount', 'folder'])
      for (const line of lines.toReversed()) if (line.kind === kind) remove(line);
  });
