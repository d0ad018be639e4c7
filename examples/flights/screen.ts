import type { DayLine, Judgement } from './comparison.ts';
import type { BoardCounts } from './replay/board.ts';
import type { Counts } from './replay/traffic.ts';
import type { Moment } from './story.ts';

/** Everything the last screen shows. */
export interface Outcome {
  readonly begunMs: number;
  readonly story: readonly Moment[];
  readonly judgements: readonly Judgement[];
  readonly days: readonly DayLine[];
  readonly counts: Counts;
  readonly board: BoardCounts;
  readonly retrainings: number;
  /** Those that did not succeed, so that no gate was asked. */
  readonly failedRetrainings: number;
  readonly promoted: boolean;
}

const width = 110;

/** The last screen, as lines. */
export function screen(outcome: Outcome): string {
  const { counts, board } = outcome;
  const sorted = Float64Array.from(counts.latenciesMs).sort();
  const quantile = (q: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN).toFixed(1);
  const versions = [...counts.byVersion].map(([version, rows]) => `${rows} by version ${version}`).join(', ');
  return [
    heading('What happened, from the event log'),
    ...outcome.story.map(({ timeMs, what }) => clip(`${seconds(timeMs - outcome.begunMs)}  ${what}`)),
    heading('The weather: one report a day'),
    ...table(
      ['day', 'flights', 'columns drifted', 'prediction drift', 'AUC', 'log loss', 'answered by'],
      outcome.days.map((day) => [
        day.day,
        String(day.rows),
        `${bar(day.share)} ${percent(day.share)}${day.drifted ? ' drift' : ''}`,
        fixed(day.predictionDrift, 2),
        fixed(day.auc, 3),
        fixed(day.logLoss, 3),
        day.versions,
      ]),
    ),
    heading('Both versions, before and after'),
    ...table(
      ['flights', 'rows', 'version', 'AUC', 'log loss'],
      outcome.judgements.map((one) => [
        one.flights,
        String(one.rows),
        one.version,
        fixed(one.auc, 4),
        fixed(one.logLoss, 4),
      ]),
    ),
    verdict(outcome),
    heading('Served'),
    `${counts.predictions} predictions in ${counts.requests} requests (${versions}); p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms a request, features looked up`,
    `${counts.failures} failed requests in the replay; the departure board asked ${board.asked} times while models were swapped (versions ${board.versions.join(' → ')}): ${board.failed} failed`,
    `${counts.pushed} landings pushed as features, ${counts.labels} labels told afterwards`,
  ].join('\n');
}

function verdict({ retrainings, failedRetrainings, promoted }: Outcome): string {
  if (retrainings === 0) return 'No alarm for drift was raised, so nothing was retrained.';
  if (!promoted && failedRetrainings === retrainings)
    return 'The retraining failed, so no gate was asked and the champion stayed.';
  if (!promoted)
    return 'The gate said no: the retrained model was not better on the recent flights, so the champion stayed.';
  return 'The gate said yes: the retrained model was better on the recent flights, and serving swapped to it.';
}

function heading(title: string): string {
  return `\n── ${title} ${'─'.repeat(Math.max(0, width - title.length - 4))}`;
}

/** Columns as wide as their widest cell; numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c]?.length ?? 0)));
  const numeric = head.map((_, c) => rows.every((row) => /^[\d.,–-]*$/.test(row[c] ?? '')));
  const line = (row: readonly string[]) =>
    row
      .map((cell, c) => (numeric[c] ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)];
}

function bar(share: number): string {
  const filled = Math.round(share * 10);
  return `${'█'.repeat(filled)}${'·'.repeat(10 - filled)}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`.padStart(5);
}

function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`;
}

/** One line of the terminal, however much there is to say; of a file when there is no terminal. */
function clip(text: string): string {
  const room = process.stdout.columns || width;
  const line = text.replaceAll(/\s*\n\s*/g, ' ');
  return line.length > room ? `${line.slice(0, room - 1)}…` : line;
}
