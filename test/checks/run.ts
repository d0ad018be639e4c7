/** `npm run check`: everything that can be judged without running the code. Prints one line a check, then the failures. */
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { dependencyRule } from './dependency-rule.ts';
import { fileSizes } from './file-sizes.ts';
import { generated } from './generated.ts';
import { readmeCode } from './readme-code.ts';
import { readmes } from './readmes.ts';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'node_modules/.bin');

/** Answers what is wrong; empty means that all is well. */
type Check = () => Promise<string>;

const checks: Readonly<Record<string, Check>> = {
  types: command('tsc', ['-p', '.']),
  'lint and format': command('biome', ['ci', '--colors=off', '--error-on-warnings', '.']),
  'dead code': command('knip', ['--no-progress']),
  'buf lint': command('buf', ['lint'], 'proto'),
  'buf format': command('buf', ['format', '--diff', '--exit-code'], 'proto'),
  'buf breaking': command('buf', ['breaking', '--against', '../.git#branch=main,subdir=proto'], 'proto'),
  'generated code': () => generated(root),
  'dependency rule': () => dependencyRule(root),
  'file sizes': () => fileSizes(root),
  readmes: () => readmes(root),
  'readme code': () => readmeCode(root),
};

function command(name: string, args: readonly string[], folder = '.'): Check {
  return () =>
    new Promise((done) => {
      const child = spawn(join(bin, name), args, {
        cwd: join(root, folder),
        env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, NO_COLOR: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (data: Buffer) => {
          output += data.toString();
        });
      }
      child.on('error', (error) => done(error.message));
      child.on('close', (code) => done(code === 0 ? '' : output || `exit ${code}`));
    });
}

const wanted = process.argv.slice(2);
const failures: string[] = [];
let passed = 0;
for (const [name, check] of Object.entries(checks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const start = performance.now();
  const wrong = (await check()).trim();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${wrong ? '✗' : '✓'} ${name} (${seconds} s)`);
  if (wrong) failures.push(`── ${name}\n${wrong}`);
  else passed++;
}
if (failures.length > 0) console.log(`\n${failures.join('\n\n')}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
