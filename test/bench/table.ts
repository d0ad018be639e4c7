import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Measured } from './measure.ts';
import type { Statistic } from './statistics.ts';

const readme = join(import.meta.dirname, '../../README.md');
const [begin, end] = ['<!-- bench: begin -->', '<!-- bench: end -->'];

const columns = ['what', 'ours', 'floor', 'ours by floor', 'aim'] as const;

/** The table of a run, in Markdown: medians, and in brackets the least and the greatest round. */
export function tableOf(measured: readonly Measured[]): string {
  const rows = measured.map(({ row, summary, missed, failure }) => {
    if (!summary) return [row.title, failure?.split('\n')[0] ?? '', '', '', 'not measured'];
    const { ours, floor, ratio } = summary;
    return [row.title, figures(ours), figures(floor), figures(ratio, '×'), aims(row.aims, missed)];
  });
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = columns.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

/** What each floor is, and why each missed aim is missed. */
export function notesOf(measured: readonly Measured[]): string {
  const floors = new Map<string, string[]>();
  for (const { row } of measured)
    if (row.floor) floors.set(row.floor, [...(floors.get(row.floor) ?? []), row.name]);
  const lines = [...floors].map(([floor, names]) => `- Floor of ${names.join(', ')}: ${floor}.`);
  for (const { row, missed } of measured)
    if (missed.length > 0)
      lines.push(
        `- **${row.title}** misses ${missed.join(' and ')}: ${row.explanation ?? 'not explained yet'}`,
      );
  return lines.join('\n');
}

export async function writeReadme(measured: readonly Measured[], machine: Machine): Promise<void> {
  const text = await readFile(readme, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md has no ${begin} … ${end}`);
  const day = new Date().toISOString().slice(0, 10);
  const { processor, cores, memoryGiB, system, node } = machine;
  const where = `\`npm run bench\` of ${day}: ${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}; ${roundsOf(measured)} rounds.`;
  const section = `${begin}\n\n${where}\n\n${tableOf(measured)}\n\n${notesOf(measured)}\n\n`;
  await writeFile(readme, text.slice(0, from) + section + text.slice(to));
}

function roundsOf(measured: readonly Measured[]): string {
  const counts = measured.map(({ rounds }) => rounds);
  return [...new Set([Math.min(...counts), Math.max(...counts)])].join(' to ');
}

function figures(statistics: Readonly<Record<string, Statistic>>, unit?: string): string {
  return Object.entries(statistics)
    .map(([name, { median, min, max }]) => `${short(median)} (${short(min)}–${short(max)}) ${unit ?? name}`)
    .join('; ');
}

function aims(all: readonly { readonly text: string }[], missed: readonly string[]): string {
  return all.map(({ text }) => `${text} ${missed.includes(text) ? '✗' : '✓'}`).join('; ');
}

function short(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}
