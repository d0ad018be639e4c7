import { type Run, RunSchema, RunStatus } from '@millrace/contracts/tracking';
import { parseWhole } from '../cli/duration.ts';
import { command, type Globals, type Group, type OptionValues } from '../command.ts';
import { gather, nameIn, withSuite } from '../session.ts';
import { ago, between, enumName, lastOf, number } from '../show/format.ts';
import type { Output } from '../show/output.ts';

const listOptions = {
  experiment: { type: 'string', value: 'ID', meaning: 'Only runs of this experiment.' },
  'order-by': {
    type: 'string',
    value: 'ORDER',
    meaning: 'For example "metrics.auc DESC". Default: newest first.',
  },
  limit: { type: 'string', value: 'N', meaning: 'Most runs to show. Default: 20.' },
} as const;

export const runs: Group = {
  summary: 'training runs: params, metrics',
  commands: {
    list: command({
      summary: 'Lists runs, newest first',
      args: [],
      options: listOptions,
      run: ({ options, globals, out }) => search('', options, globals, out),
    }),
    search: command({
      summary: 'Lists the runs that fit a filter',
      args: ['FILTER'],
      options: listOptions,
      notes: [`Example: millrace runs search "metrics.auc > 0.7 AND params.learner = 'boosted trees'"`],
      run: ({ args, options, globals, out }) => search(args[0]!, options, globals, out),
    }),
    show: command({
      summary: 'Shows a run: params, tags, newest metrics',
      args: ['RUN'],
      options: {},
      run: ({ args, globals, out }) =>
        withSuite(globals, async ({ tracking }) => {
          const { run } = await tracking.getRun({ name: nameIn.run(globals.project, args[0]!) });
          if (run) out.item(RunSchema, run, () => show(run, out));
          return 0;
        }),
    }),
  },
};

function search(filter: string, options: OptionValues<typeof listOptions>, globals: Globals, out: Output) {
  const limit = options.limit === undefined ? 20 : parseWhole(options.limit, '--limit', 1);
  return withSuite(globals, async ({ tracking, parent }) => {
    const request = {
      parent,
      filter,
      orderBy: options['order-by'] ?? '',
      experiments: options.experiment ? [nameIn.experiment(globals.project, options.experiment)] : [],
    };
    const found = await gather(limit, async (pageSize, pageToken) => {
      const { runs, nextPageToken } = await tracking.searchRuns({ ...request, pageSize, pageToken });
      return { items: runs, nextPageToken };
    });
    const nowMs = Date.now();
    const empty = filter ? 'No run fits.' : 'There are no runs yet.';
    out.list(RunSchema, found, columnsAt(nowMs, keysOf(found)), empty);
    return 0;
  });
}

/** The metrics that most runs have, at most four. */
function keysOf(found: readonly Run[]): string[] {
  const counts = new Map<string, number>();
  for (const run of found) for (const { key } of run.metrics) counts.set(key, (counts.get(key) ?? 0) + 1);
  const byCount = [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return byCount.slice(0, 4).map(([key]) => key);
}

function columnsAt(nowMs: number, keys: readonly string[]) {
  const metric = (run: Run, key: string) => run.metrics.find((one) => one.key === key);
  return [
    { title: 'run', value: (run: Run) => lastOf(run.name) },
    { title: 'name', value: (run: Run) => run.displayName, shrink: true },
    { title: 'experiment', value: (run: Run) => lastOf(run.experiment) },
    { title: 'status', value: (run: Run) => enumName(RunStatus, run.status) },
    ...keys.map((key) => ({
      title: key,
      align: 'right' as const,
      value: (run: Run) => {
        const found = metric(run, key);
        return found ? number(found.value) : '';
      },
    })),
    {
      title: 'took',
      value: (run: Run) => between(run.startTime, run.endTime, nowMs),
      align: 'right' as const,
    },
    { title: 'started', value: (run: Run) => ago(run.startTime, nowMs) },
  ];
}

type Pair = { readonly key: string; readonly value: string };

function show(run: Run, out: Output): void {
  const nowMs = Date.now();
  out.fields([
    ['run', run.name],
    ['name', run.displayName],
    ['experiment', run.experiment],
    ['status', enumName(RunStatus, run.status)],
    ['started', ago(run.startTime, nowMs)],
    ['took', between(run.startTime, run.endTime, nowMs)],
  ]);
  const pair = [
    { title: 'name', value: (one: { readonly key: string }) => one.key },
    { title: 'value', value: (one: { readonly value: string }) => one.value, shrink: true },
  ];
  if (run.params.length > 0) {
    out.line('\nParams');
    out.table<Pair>(run.params, pair);
  }
  if (run.tags.length > 0) {
    out.line('\nTags');
    out.table<Pair>(run.tags, pair);
  }
  if (run.metrics.length > 0) {
    out.line('\nMetrics (newest)');
    out.table(run.metrics, [
      { title: 'name', value: (metric) => metric.key },
      { title: 'value', value: (metric) => number(metric.value), align: 'right' },
      { title: 'step', value: (metric) => String(metric.step), align: 'right' },
    ]);
  }
}
