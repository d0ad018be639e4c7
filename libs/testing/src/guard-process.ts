/** The guard: reads what it must remove from its standard input and removes what is left when that ends. */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface Line {
  readonly add: boolean;
  readonly kind: 'process' | 'folder';
  readonly what: string | number;
}

const left = new Map<string, Line>();

function remove({ kind, what }: Line): void {
  try {
    if (kind === 'process') process.kill(Number(what), 'SIGKILL');
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
    // Processes first: they write into the folders.
    for (const line of lines) if (line.kind === 'process') remove(line);
    for (const line of lines) if (line.kind === 'folder') remove(line);
  });
