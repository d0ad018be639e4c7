import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from './catalogue.ts';
import type { Outcome } from './scenario.ts';

const readme = join(import.meta.dirname, '../../README.md');
const [begin, end] = ['<!-- faults: begin -->', '<!-- faults: end -->'];

const columns = ['#', 'what is done', 'what must hold', 'checked', 'lost', 'doubled', 'control'] as const;

/** The table of a run, in Markdown. The control's column says what the check found where protection was taken away. */
export function tableOf(reports: readonly Report[]): string {
  const rows = reports.map((report) => {
    const { scenario, run, control, skipped } = report;
    const tail = run
      ? [run.checked.toLocaleString('en'), `${run.lost}`, `${run.doubled}`, found(control)]
      : ['–', '–', '–', skipped ?? 'failed'];
    return [`${scenario.number}`, scenario.name, scenario.invariant, ...tail].map((cell) =>
      cell.replaceAll('|', '\\|'),
    );
  });
  const widths = columns.map((title, i) => Math.max(2, title.length, ...rows.map((row) => row[i]!.length)));
  const isNumber = (i: number) => i === 0 || (i >= 3 && i <= 5);
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (isNumber(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (isNumber(i) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`;
  return [line(columns), rule, ...rows.map(line)].join('\n');
}

function found(control: Outcome | undefined): string {
  if (!control) return '–';
  const { lost, doubled, breaches } = control;
  const parts = [
    lost > 0 ? `${lost} lost` : '',
    doubled > 0 ? `${doubled} doubled` : '',
    breaches.length > 0 && lost + doubled === 0 ? 'noticed' : '',
  ];
  return parts.filter((part) => part !== '').join(', ') || 'nothing';
}

/** Puts the table of this run into the README, between its two marks. */
export async function writeReadme(reports: readonly Report[], note: string): Promise<void> {
  const text = await readFile(readme, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md has no ${begin} … ${end}`);
  const section = `${begin}\n\n${note}\n\n${tableOf(reports)}\n\n`;
  await writeFile(readme, text.slice(0, from) + section + text.slice(to));
}
