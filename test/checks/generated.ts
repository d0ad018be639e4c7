import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The generated code is what generating gives: generates it again and compares. */
export async function generated(root: string): Promise<string> {
  const before = snapshot(root);
  execFileSync(process.execPath, [join(root, 'libs/contracts/generate.ts')], { cwd: root, stdio: 'pipe' });
  const after = snapshot(root);
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  const changed = paths.filter((path) => before.get(path) !== after.get(path));
  return changed.length === 0
    ? ''
    : `npm run generate changes these files; commit them:\n${changed.join('\n')}`;
}

function snapshot(root: string): Map<string, string> {
  const folder = join(root, 'libs/contracts/src');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, createHash('sha256').update(readFileSync(path)).digest('hex')];
    }),
  );
}
