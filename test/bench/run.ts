/**
 * `npm run bench`: every hot path beside its floor.
 *   npm run bench -- log-batch infer   only rows whose name begins so
 *   --rounds 3                          fewer rounds
 *   --json FILE                         the figures for machines
 *   --readme                            writes the table into README.md
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { loadRows } from './catalogue.ts';
import { describeMachine } from './machine.ts';
import { type Measured, measure } from './measure.ts';
import { notesOf, tableOf, writeReadme } from './table.ts';

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    json: { type: 'string' },
    readme: { type: 'boolean', default: false },
  },
});
const machine = describeMachine();
console.log(`${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}\n`);
const rows = (await loadRows()).filter(
  ({ name }) => wanted.length === 0 || wanted.some((begin) => name.startsWith(begin)),
);
const measured: Measured[] = [];
for (const row of rows) {
  const rounds = Number(options.rounds ?? row.rounds ?? 5);
  const one = await measure(row, rounds, (text) => progress(`${row.name}: ${text} …`));
  progress('');
  measured.push(one);
  console.log(`${tableOf([one]).split('\n')[2]}  (${one.seconds.toFixed(0)} s)`);
  if (one.failure) console.log(one.failure);
}
console.log(`\n${tableOf(measured)}\n\n${notesOf(measured)}`);
if (options.json) await writeFile(options.json, toJson());
if (options.readme) await writeReadme(measured, machine);
const [failed, missed] = [
  measured.filter(({ failure }) => failure),
  measured.filter((one) => one.missed.length > 0),
];
console.log(
  `\n${measured.length - failed.length} measured, ${failed.length} failed; ${missed.length} with an aim that is missed`,
);
// What a pipe has not taken yet is gone when the process ends.
process.stdout.write('', () => process.exit(failed.length > 0 ? 1 : 0));

function toJson(): string {
  const found = measured.map(({ row, summary, missed: aims, failure }) => ({
    name: row.name,
    title: row.title,
    floor: row.floor,
    ...summary,
    missed: aims,
    failure,
  }));
  return `${JSON.stringify({ machine, time: new Date().toISOString(), rows: found }, null, 2)}\n`;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
