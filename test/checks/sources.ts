import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Source {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** The project's files that git tracks or would track, generated ones left out. `suffix` filters by ending. */
export function sources(root: string, suffix: string): readonly Source[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z', `*${suffix}`];
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  const paths = [...new Set(listed.split('\0'))].filter((path) => path !== '' && !path.includes('/src/gen/'));
  return paths.sort().flatMap((path) => {
    try {
      return [{ path, text: readFileSync(join(root, path), 'utf8') }];
    } catch {
      return []; // deleted in the work tree, not yet in the index
    }
  });
}
