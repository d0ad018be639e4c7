/**
 * `npm run test:faults`: every scenario with its control, some at a time.
 *   --only 3,4     some of them
 *   --seed 7       other moments and other mixtures; a failure prints the seed to have it again
 *   --lanes 2      how many at a time
 *   --readme       writes the table into README.md
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { limitOf, loadScenarios, play, type Report } from './catalogue.ts';
import { tableOf, writeReadme } from './table.ts';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    only: { type: 'string' },
    lanes: { type: 'string', default: '2' },
    readme: { type: 'boolean', default: false },
  },
});
const seed = Number(options.seed ?? Date.now() % 1_000_000);
const begun = performance.now();
const wanted = options.only?.split(',').map(Number);
const scenarios = (await loadScenarios()).filter(({ number }) => wanted?.includes(number) ?? true);
console.log(`${scenarios.length} scenarios, seed ${seed}`);

// What a scenario has under way may fail before it is waited for. Whoever never waits for it is told at the end.
const unheard = new Map<Promise<unknown>, unknown>();
process.on('unhandledRejection', (error, work) => unheard.set(work, error));
process.on('rejectionHandled', (work) => unheard.delete(work));

const reports: Report[] = [];
// The long ones first, so that the short ones fill up the time beside them.
const queue = scenarios.filter(({ alone }) => !alone).sort((a, b) => limitOf(b) - limitOf(a));
await Promise.all(Array.from({ length: Number(options.lanes) }, work));
for (const scenario of scenarios.filter(({ alone }) => alone)) tell(await play(scenario, seed));
reports.sort((a, b) => a.scenario.number - b.scenario.number);

const broken = reports.filter(({ problems }) => problems.length > 0).length;
const skipped = reports.filter((report) => report.skipped !== undefined).length;
const passed = reports.length - broken - skipped;
const seconds = Math.round((performance.now() - begun) / 1000);
console.log(`\n${tableOf(reports)}\n\nin ${seconds} s with seed ${seed}`);
// Once more at the end, which is what is left where output is cut.
for (const { scenario, problems } of reports)
  for (const problem of problems) console.log(`✗ ${scenario.number}: ${problem}`);
for (const error of unheard.values()) console.log('✗ nobody waited for what failed:', error);
if (options.readme) {
  const day = new Date().toISOString().slice(0, 10);
  await writeReadme(
    reports,
    `\`npm run test:faults\` of ${day}, seed ${seed}, ${seconds} s on ${availableParallelism()} cores.`,
  );
}
const failed = broken + unheard.size;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
// What a pipe has not taken yet is gone when the process ends.
process.stdout.write('', () => process.exit(failed === 0 && passed > 0 ? 0 : 1));

async function work(): Promise<void> {
  for (let next = queue.shift(); next; next = queue.shift()) tell(await play(next, seed));
}

function tell(report: Report): void {
  reports.push(report);
  const { scenario, run, skipped: why, problems } = report;
  const mark = problems.length > 0 ? '✗' : why === undefined ? '✓' : '–';
  const what = run ? `${run.checked} checked` : (why ?? 'failed');
  console.log(`${mark} ${scenario.number} ${scenario.name}: ${what} (${report.seconds.toFixed(1)} s)`);
  for (const problem of problems) console.log(`    ${problem.replaceAll('\n', '\n    ')}`);
}
