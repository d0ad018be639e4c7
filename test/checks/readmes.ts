import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sources } from './sources.ts';

const screen = 70;

/** Every lib and service has a README of one screen, and no link in a README leads nowhere. */
export async function readmes(root: string): Promise<string> {
  const wrong: string[] = [];
  for (const kind of ['libs', 'services']) {
    for (const name of readdirSync(join(root, kind))) {
      if (
        existsSync(join(root, kind, name, 'package.json')) &&
        !existsSync(join(root, kind, name, 'README.md'))
      ) {
        wrong.push(`${kind}/${name} has no README.md`);
      }
    }
  }
  for (const { path, text } of sources(root, '.md')) {
    const lines = text.split('\n').length - 1;
    if (/^(libs|services)\//.test(path) && lines > screen)
      wrong.push(`${path} has ${lines} lines; a screen has ${screen}`);
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (target && !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(path), target))) {
        wrong.push(`${path} links to ${target}, which does not exist`);
      }
    }
  }
  return wrong.join('\n');
}
