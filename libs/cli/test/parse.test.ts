import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs } from '../src/cli/duration.ts';
import { distance, nearest } from '../src/cli/nearest.ts';
import { parseCommand, takeWord } from '../src/cli/parse.ts';
import { run } from '../src/cli/run.ts';
import { command } from '../src/command.ts';

const sample = command({
  summary: 'A sample',
  args: ['NAME', '[MORE]'],
  options: {
    input: { type: 'string', short: 'i', multiple: true, meaning: 'inputs' },
    force: { type: 'boolean', meaning: 'force' },
  },
  run: async () => 0,
});

/** Runs the program with its output caught. */
async function invoke(...argv: string[]) {
  let stdout = '';
  let stderr = '';
  const sink = (take: (text: string) => void) => ({ write: take }) as unknown as NodeJS.WritableStream;
  const code = await run(argv, {
    env: { MILLRACE_DATA_DIR: '/nonexistent' },
    stdout: sink((text) => (stdout += text)),
    stderr: sink((text) => (stderr += text)),
  });
  return { code, stdout, stderr };
}

describe('the command line', () => {
  it('finds the command behind global options', () => {
    expect(takeWord(['--project', 'p', '--json', 'runs', 'list'])).toEqual({
      word: 'runs',
      rest: ['--project', 'p', '--json', 'list'],
    });
  });

  it('reads options before, between and after arguments', () => {
    const { args, values } = parseCommand('sample', sample, ['-i', 'a=-1', 'x', '--force', '--input=b=2']);
    expect(args).toEqual(['x']);
    expect(values).toEqual({ input: ['a=-1', 'b=2'], force: true });
  });

  it.each([
    [['x', '--forse'], /--forse.*Did you mean --force/],
    [['x', '--input'], /--input needs a value/],
    [['x', '--input', '--force'], /--input needs a value/],
    [['x', '--force=yes'], /--force takes no value/],
    [['x', '-z'], /-z.*is not known/],
    [[], /NAME is missing/],
    [['a', 'b', 'c'], /"c" is one argument too many/],
    [['x', '--constructor'], /not known/],
  ])('refuses %j', (argv, text) => {
    expect(() => parseCommand('sample', sample, argv)).toThrow(text);
  });

  it('suggests the nearest command and ends with 2', async () => {
    expect(await invoke('modles', 'list')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching('Did you mean models'),
    });
    expect(await invoke('runs', 'serach')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching('runs search'),
    });
    expect(await invoke('runs')).toMatchObject({ code: 2 });
    expect(await invoke('toString')).toMatchObject({ code: 2 });
    expect(await invoke('runs', 'list', '--project', 'A_B')).toMatchObject({ code: 2 });
    expect(await invoke('runs', 'list', '--timeout', 'soon')).toMatchObject({ code: 2 });
    expect(await invoke('runs', 'list', '--address', 'trackin=a:1')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching('Did you mean tracking'),
    });
  });

  it('says what to do when there is no suite, without a stack', async () => {
    const { code, stderr } = await invoke('runs', 'list');
    expect(code).toBe(1);
    expect(stderr).toMatch(/npm start/);
    expect(stderr).not.toMatch(/ at .*\.ts/);
    expect((await invoke('runs', 'list', '--debug')).stderr).toMatch(/addresses\.ts/);
    expect(JSON.parse((await invoke('runs', 'list', '--json')).stderr)).toMatchObject({
      error: { code: 'INVALID_FIELD' },
    });
  });

  it.each([
    'up',
    'demo',
    'doctor',
    'apply',
    'events',
    'replay',
    'runs',
    'features',
    'pipelines',
    'models',
    'deployments',
    'predict',
    'drift',
    'lineage',
  ])('has help for %s', async (name) => {
    expect(await invoke(name, '--help')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(`millrace ${name}`),
    });
    expect((await invoke('--help')).stdout).toMatch(`\n  ${name} `);
  });
});

describe('nearest', () => {
  it('counts edits as a metric does', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(distance(a, b)).toBe(distance(b, a));
        expect(distance(a, b) === 0).toBe(a === b);
        expect(distance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it('keeps silent when nothing is near', () => {
    expect(nearest('zzzzzz', ['runs', 'models'])).toBeUndefined();
  });
});

it('reads times', () => {
  expect(durationMs('1h30m')).toBe(5_400_000);
  expect(durationMs('250ms')).toBe(250);
  expect(durationMs('7d')).toBe(604_800_000);
  for (const text of ['', '5', 'h', '1h 30m', '-1s', '1y']) expect(durationMs(text)).toBeUndefined();
});
