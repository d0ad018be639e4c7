import { relative } from 'node:path';
import { parseWhole } from '../cli/duration.ts';
import { command } from '../command.ts';
import type { Output } from '../show/output.ts';
import { untilStopped } from '../suite/signals.ts';
import type { Suite } from '../suite/suite.ts';

export const up = command({
  summary: 'Starts the suite on this machine: NATS and the six services, until Ctrl-C',
  args: [],
  options: {
    'port-base': {
      type: 'string',
      value: 'PORT',
      meaning: 'The port of the first service; the others follow. Default: 7101.',
    },
  },
  notes: [
    'Services that end by themselves are started again. A second Ctrl-C ends everything at once.',
    'NATS_URL in the environment is used instead of starting a NATS. SOURCE_ROOTS says below which',
    'folders feature sources may name files; by default the current one.',
  ],
  run: async ({ options, globals, out }) => {
    const base = options['port-base'];
    const startedMs = performance.now();
    const starting = new AbortController();
    return untilStopped({
      out,
      start: async () => {
        const { startSuite } = await import('../suite/suite.ts');
        out.progress('starting NATS and the services …');
        const suite = await startSuite({
          dataDir: globals.dataDir,
          onLine: (line) => out.line(line),
          signal: starting.signal,
          ...(base === undefined ? {} : { portBase: parseWhole(base, '--port-base', 1) }),
        });
        out.progress();
        const tookMs = performance.now() - startedMs;
        if (out.json)
          out.document({
            ready: true,
            dataDir: suite.dataDir,
            ...suite.endpoints,
            processes: processesOf(suite),
          });
        else showSuite(out, suite, tookMs);
        return suite;
      },
      giveUp: () => starting.abort(),
      // Nothing ends a suite but a signal.
      work: (_, stopping) => new Promise((done) => stopping.addEventListener('abort', () => done(0))),
    });
  },
});

/** The process of each service, and of NATS where it is ours. */
function processesOf({ services, nats }: Suite): Record<string, number> {
  const own = [...services.values()].map(({ name, pid }) => [name, pid]);
  return Object.fromEntries(nats.pid ? [...own, ['nats-server', nats.pid]] : own);
}

/** The one screen of a suite that is ready. */
export function showSuite(out: Output, suite: Suite, tookMs: number): void {
  const folder = (path: string) => relative(process.cwd(), path) || '.';
  out.line(out.strong(`Millrace is ready (${(tookMs / 1000).toFixed(1)} s)`));
  out.line();
  out.fields([
    ...[...suite.services.values()].map(({ name, address }) => [`  ${name}`, address] as const),
    ['  events (NATS)', suite.endpoints.natsUrl],
  ]);
  out.line();
  out.fields([
    ['  data', folder(suite.dataDir)],
    ['  logs', folder(suite.logDir)],
  ]);
  out.line();
  out.line('Try next, in another terminal (with npx, in this folder):');
  out.line('  millrace events tail          what happens, as it happens');
  out.line('  millrace apply -f FILE        features, pipelines, models, deployments, monitors from YAML');
  out.line('  millrace runs list            training runs and their metrics');
  out.line('  millrace doctor               whether everything is well');
  out.line();
  out.line('Ctrl-C stops it.');
}
