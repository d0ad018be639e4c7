import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Context } from '@millrace/contracts';
import { connect, type Millrace } from '@millrace/sdk';
import { protect, startSuite, type TestSuite, tempDir } from '@millrace/testing';
import { type EndState, readEndState } from './end-state.ts';

/** Where a game stands when one of its lines comes. */
export interface Game {
  readonly suite: TestSuite;
  readonly millrace: Millrace;
  /** Waits for a line of the example; answers at once when it came already. */
  line(pattern: RegExp): Promise<void>;
  /** Whether the example has ended. */
  readonly over: boolean;
}

/** What one play of the example came to. */
export interface Played {
  readonly state: EndState;
  readonly seconds: number;
  readonly lines: readonly string[];
}

export interface PlayOptions {
  readonly live: string;
  readonly until: string;
  /** What is done to the suite meanwhile; it is waited for. */
  readonly disturb?: (game: Game) => Promise<void>;
  /** The longest the example may take. */
  readonly limitMs: number;
}

const root = join(import.meta.dirname, '../../..');
const contexts: readonly Context[] = [
  'tracking',
  'registry',
  'features',
  'pipelines',
  'serving',
  'monitoring',
];

/** Plays the example on a suite of its own and reads what is left at the end. */
export async function play(options: PlayOptions): Promise<Played> {
  await using folder = tempDir('millrace-play-');
  await using suite = await startSuite({ env: { SOURCE_ROOTS: root, LOG_LEVEL: 'warn' } });
  const millrace = connectTo(suite);
  const outcomeFile = join(folder.path, 'outcome.json');
  const begun = performance.now();
  const { live, until } = options;
  const example = spawn(
    process.execPath,
    [join(root, 'examples/flights/demo.ts'), '--live', live, '--until', until, '--outcome', outcomeFile],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: environment(suite) },
  );
  const release = protect('process', example.pid ?? 0);
  const timer = setTimeout(() => example.kill('SIGKILL'), options.limitMs);
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of [...waiting]) look();
  };
  for (const stream of [example.stdout, example.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      wake();
    });
  let over = false;
  const ended = new Promise<number | null>((resolve) => {
    example.once('close', (code) => {
      over = true;
      release();
      clearTimeout(timer);
      wake();
      resolve(code);
    });
  });
  const game: Game = {
    suite,
    millrace,
    get over() {
      return over;
    },
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.some((line) => pattern.test(line));
          if (!found && !over) return;
          waiting.delete(look);
          if (found) resolve();
          else reject(new Error(`the example ended without a line like ${pattern}`));
        };
        waiting.add(look);
        look();
      }),
  };
  try {
    const [code] = await Promise.all([ended, options.disturb?.(game)]);
    if (code !== 0) throw new Error(`the example ended with code ${code}; ${why(lines, suite)}`);
    const outcome: unknown = JSON.parse(readFileSync(outcomeFile, 'utf8'));
    const state = await readEndState(millrace, outcome, suite.nats.url);
    return { state, seconds: (performance.now() - begun) / 1000, lines };
  } finally {
    if (!over) example.kill('SIGKILL');
    millrace.close();
  }
}

function why(lines: readonly string[], suite: TestSuite): string {
  const services = [
    'tracking',
    'registry',
    'feature-store',
    'orchestrator',
    'serving',
    'monitoring',
  ] as const;
  const logs = services.map((name) => `-- ${name}\n${suite.service(name).logs.slice(-5).join('\n')}`);
  return `its last lines:\n${lines.slice(-15).join('\n')}\n${logs.join('\n')}`;
}

function connectTo(suite: TestSuite): Millrace {
  const address = (context: Context) => [context, suite.env[`${context.toUpperCase()}_ADDRESS`]];
  return connect({ endpoints: { services: Object.fromEntries(contexts.map(address)) } });
}

/** How the example finds the suite. */
function environment(suite: TestSuite): NodeJS.ProcessEnv {
  const found = Object.entries(suite.env).map(([key, value]) => [`MILLRACE_${key}`, value]);
  return { ...process.env, ...Object.fromEntries(found) };
}
