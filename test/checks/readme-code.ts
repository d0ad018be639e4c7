import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sources } from './sources.ts';

/** Where the blocks are written: git ignores it, and node finds the packages from there. */
const folder = 'node_modules/.cache/readme-code';

/** The ```ts blocks of the READMEs of libs and services type-check as programs of their own, under the root's settings. */
export async function readmeCode(root: string): Promise<string> {
  const target = join(root, folder);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const origins = new Map<string, string>();
  for (const { path, text } of sources(root, 'README.md')) {
    if (!/^(libs|services)\//.test(path)) continue;
    for (const match of text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
      const line = text.slice(0, match.index).split('\n').length;
      const name = `${path.replaceAll('/', '.')}.${line}.ts`;
      origins.set(name, `${path}:${line}`);
      writeFileSync(join(target, name), `${match[1]}\nexport {};\n`);
    }
  }
  const config = {
    extends: '../../../tsconfig.json',
    // What a block leaves unused is what a reader is to go on with.
    compilerOptions: { noUnusedLocals: false, typeRoots: ['../../@types'] },
    include: ['*.ts'],
    exclude: [],
  };
  writeFileSync(join(target, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { stdout, status } = spawnSync(tsc, ['-p', target, '--pretty', 'false'], {
    cwd: target,
    encoding: 'utf8',
  });
  if (status === 0) return '';
  return stdout.replaceAll(/^(\S+?\.ts)\(/gm, (_, name: string) => `${origins.get(name) ?? name} (`).trim();
}
