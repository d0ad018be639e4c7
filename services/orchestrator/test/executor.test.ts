import { once } from 'node:events';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { type BlobStore, openBlobs } from '@millrace/blobs';
import { from } from '@millrace/errors';
import { tempDir, until } from '@millrace/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { beginRecord, readRecord } from '../src/executor/attempt-record.ts';
import { collectOutputs } from '../src/executor/collect.ts';
import type { Executor, Exit, Work } from '../src/executor/executor.ts';
import { openLog } from '../src/executor/log-file.ts';
import { createProcessExecutor } from '../src/executor/process-executor.ts';
import { startOf } from '../src/executor/process-identity.ts';
import { output } from './specs.ts';

const node = process.execPath;
let folder: Awaited<ReturnType<typeof tempDir>>;
let blobs: BlobStore;
let executor: Executor;
let exits: Map<string, Exit>;

beforeEach(async () => {
  folder = await tempDir();
  blobs = await openBlobs({ url: `file:${join(folder.path, 'blobs')}` });
  exits = new Map();
  executor = open();
});
afterEach(async () => {
  await executor.close();
  await blobs.close();
  await folder[Symbol.asyncDispose]();
});

function open(): Executor {
  const made = createProcessExecutor({
    folder: join(folder.path, 'executor'),
    blobs,
    maxLogBytes: 1000,
    orphanGraceMs: 1000,
    closeGraceMs: 300,
  });
  made.onExit((id, exit) => exits.set(id, exit));
  return made;
}
const work = (id: string, argv: readonly string[], rest: Partial<Work> = {}): Work => ({
  id,
  argv,
  env: [],
  files: [],
  inputs: [],
  ...rest,
});
const run = async (id: string, argv: readonly string[], rest?: Partial<Work>) => {
  await executor.start(work(id, argv, rest));
  await until(() => exits.has(id));
  return exits.get(id);
};
const script = (code: string) => [node, '-e', code];
const log = async (id: string, stream: 'stdout' | 'stderr' = 'stdout') =>
  Buffer.from(await executor.readLog(id, stream, 0, 10_000)).toString();
const pidOf = (id: string) =>
  readRecord(join(folder.path, 'executor/attempts', id))?.process?.pid ?? Number.NaN;

test('a record says what was written whole, whatever was cut off between', () => {
  expect(readRecord(folder.path)).toBeUndefined();
  const record = beginRecord(folder.path);
  expect(readRecord(folder.path)).toEqual({});
  appendFileSync(join(folder.path, 'record'), '\n{"process":{"pid":1');
  expect(readRecord(folder.path)).toEqual({});
  const exit = { code: 0, signal: null };
  record.add({ exit });
  record.close();
  expect(readRecord(folder.path)).toEqual({ exit });
});

describe('a command', () => {
  test('is started once, also when a second order comes after its end', async () => {
    const code = `require('fs').appendFileSync(${JSON.stringify(join(folder.path, 'ran'))}, 'x')`;
    expect(await run('twice', script(code))).toEqual({ kind: 'exited', code: 0 });
    exits.clear();
    expect(await run('twice', script(code))).toEqual({ kind: 'exited', code: 0 });
    expect(readFileSync(join(folder.path, 'ran'), 'utf8')).toBe('x');
  });

  test('runs without a shell, in a private folder, with a minimal environment', async () => {
    process.env.ORCHESTRATOR_SECRET = 'not for steps';
    const code =
      'console.log(JSON.stringify({ argv: process.argv.slice(1), env: Object.keys(process.env).sort(), cwd: process.cwd() }))';
    const nasty = ['$(id)', '; rm -rf /', '`id`', '--config=/etc/x', 'a\nb', '*'];
    expect(
      await run('a', [node, '-e', code, '--', ...nasty], {
        env: [{ name: 'X', value: 'a\nb', secret: false }],
      }),
    ).toEqual({ kind: 'exited', code: 0 });
    const seen = JSON.parse(await log('a')) as { argv: string[]; env: string[]; cwd: string };
    expect(seen.argv).toEqual(nasty);
    expect(seen.env).toEqual([
      'HOME',
      'LANG',
      'MILLRACE_INPUTS',
      'MILLRACE_OUTPUTS',
      'MILLRACE_WORK',
      'PATH',
      'TMPDIR',
      'TZ',
      'X',
    ]);
    expect(seen.cwd).toContain(join('attempts', 'a', 'work'));
  });

  test('tells its exit code, its signal, or why it could not start', async () => {
    expect(await run('code', script('process.exit(3)'))).toEqual({ kind: 'exited', code: 3 });
    expect(await run('signal', script('process.kill(process.pid, "SIGKILL")'))).toEqual({
      kind: 'signalled',
      signal: 'SIGKILL',
    });
    expect(await run('none', ['/no/such/program'])).toEqual({
      kind: 'refused',
      reason: expect.stringContaining('ENOENT'),
    });
  });

  test('gets files and inputs, and leaves outputs', async () => {
    const { digest } = await blobs.put(Buffer.from('hello'));
    const code = `const fs = require('fs'); const o = process.env.MILLRACE_OUTPUTS;
      fs.writeFileSync(o + '/copy', fs.readFileSync(process.env.MILLRACE_INPUTS + '/in/0') + fs.readFileSync('sub/f.txt', 'utf8'));
      const lists = (levels) => '['.repeat(levels) + ']'.repeat(levels);
      fs.writeFileSync(o + '/most', lists(30)); fs.writeFileSync(o + '/deep', lists(31)); fs.writeFileSync(o + '/abyss', lists(1e5));
      fs.writeFileSync(o + '/n', '{"x":1}'); fs.writeFileSync(o + '/bad', '{'); fs.symlinkSync('/etc/passwd', o + '/link')`;
    await run('a', script(code), {
      files: [{ path: 'sub/f.txt', digest, executable: false }],
      inputs: [{ path: 'in/0', digest }],
    });
    const good = await executor.collect('a', [
      output('copy', 'artifact'),
      output('n', 'json'),
      { ...output('none'), optional: true },
    ]);
    expect(good.problem).toBeUndefined();
    expect((await executor.collect('a', [output('most')])).problem).toBeUndefined();
    expect(good.outputs).toMatchObject([
      { name: 'copy', sizeBytes: 10 },
      { name: 'n', value: { x: 1 } },
    ]);
    const copy = good.outputs[0];
    expect(
      copy?.kind === 'artifact' &&
        Buffer.from(await blobs.bytes(copy.digest as `sha256:${string}`)).toString(),
    ).toBe('hellohello');
    for (const [name, kind, why] of [
      ['gone', 'json', 'missing'],
      ['bad', 'json', 'no JSON'],
      [
        'deep',
        'json',
        'output deep is nested too deeply: 31 levels of lists and objects; allowed: at most 30',
      ],
      ['abyss', 'json', 'nested too deeply: 100000 levels'],
      ['link', 'artifact', 'no regular file'],
    ] as const)
      expect((await executor.collect('a', [output(name, kind)])).problem).toContain(why);
  });
});

// Nobody maps the first page of a process: the system answers as a broken disk does.
test.each(['json', 'text', 'artifact'] as const)(
  'an output of kind %s that its disk does not give is unreadable, and nothing to wait for',
  async (kind) => {
    const problem = await collectOutputs('/proc/self', [output('mem', kind)], blobs, 100).catch(from);
    expect(problem).toMatchObject({ kind: 'data_loss', message: expect.stringContaining('(EIO)') });
  },
);

describe('logs', () => {
  test('are cut at their size', async () => {
    await run('a', script('process.stdout.write("x".repeat(5000))'));
    expect(await log('a')).toMatch(/^x{1000}\n\[the log is cut here/);
  });
  test('mask secrets, also in pieces', async () => {
    const path = join(folder.path, 'log');
    const file = openLog(path, { secrets: ['hunter2!', 'hunt'], maxBytes: 1000 });
    for (const piece of ['a hun', 'ter', '2! b hunter2!', ' hunte']) file.write(Buffer.from(piece));
    file.close();
    expect(readFileSync(path, 'utf8')).toBe('a *** b *** ***e');
    await run('a', script('console.log(process.env.S); console.error("my " + process.env.S)'), {
      env: [{ name: 'S', value: 'swordfish', secret: true }],
    });
    expect([await log('a'), await log('a', 'stderr')]).toEqual(['***\n', 'my ***\n']);
  });
});

describe('no process stays', () => {
  const child = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log(process.pid)';
  const parent = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' });`;
  const family = `${parent} process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`;
  const pids = async (id: string) => {
    await until(async () => (await log(id)).includes('\n'));
    return [pidOf(id), Number((await log(id)).trim())];
  };

  test('after a stop that the command ignores: SIGKILL reaches the group', async () => {
    await executor.start(work('a', script(family)));
    const both = await pids('a');
    expect(both.map(startOf)).not.toContain(undefined);
    await executor.stop('a', 100);
    await until(() => exits.has('a'));
    expect(exits.get('a')).toEqual({ kind: 'signalled', signal: 'SIGKILL' });
    await until(() => both.every((pid) => startOf(pid) === undefined));
  });

  test('after a command that left a child behind', async () => {
    await executor.start(work('a', script(`${parent} setTimeout(() => process.exit(0), 400)`)));
    const both = await pids('a');
    await until(() => exits.has('a'));
    await until(() => both.every((pid) => startOf(pid) === undefined));
  });

  test('after the executor closed', async () => {
    await executor.start(work('a', script(family)));
    const both = await pids('a');
    await executor.close();
    expect(both.map(startOf)).toEqual([undefined, undefined]);
    expect(exits.has('a')).toBe(false);
    expect(await open().recall('a')).toMatchObject({ kind: 'lost' });
  });

  test('after its supervisor was killed: it is lost, and the next work gets a new supervisor', async () => {
    await executor.start(work('a', script(family)));
    const both = await pids('a');
    const stat = readFileSync(`/proc/${both[0]}/stat`, 'utf8');
    process.kill(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), 'SIGKILL');
    await until(() => exits.has('a'));
    expect(exits.get('a')).toMatchObject({ kind: 'lost' });
    await until(() => both.every((pid) => startOf(pid ?? 0) === undefined));
    expect(await run('b', script('process.exit(4)'))).toEqual({ kind: 'exited', code: 4 });
  });
});

test('a supervisor that dies while it is connected to takes no work with it', async () => {
  const path = join(folder.path, 'executor/supervisor.sock');
  mkdirSync(dirname(path), { recursive: true });
  const dying = createServer((socket) => {
    dying.close();
    socket.destroy();
  }).listen(path);
  await once(dying, 'listening');
  expect(await run('a', script('process.exit(4)'))).toEqual({ kind: 'exited', code: 4 });
});

describe('another orchestrator', () => {
  test('finds running work again, and its end', async () => {
    await executor.start(work('a', script('setTimeout(() => process.exit(5), 500)')));
    const first = executor;
    executor = open();
    expect(await executor.recall('a')).toEqual({ kind: 'running' });
    await until(() => exits.has('a'));
    expect(exits.get('a')).toEqual({ kind: 'exited', code: 5 });
    expect(await executor.recall('a')).toEqual({ kind: 'exited', code: 5 });
    expect(await executor.recall('never')).toEqual({ kind: 'unknown' });
    await first.close();
  });
});
