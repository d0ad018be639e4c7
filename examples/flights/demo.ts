/**
 * The whole way round on real data: features, training, gate, serving, monitoring, drift, retraining, gate, swap. It
 * needs a running suite whose address it finds in its environment: `npm run demo` starts one for it. Options:
 * `--live DAY` and `--until DAY` choose which days are played, `--outcome FILE` writes what the last screen shows as JSON.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PipelineRunState } from '@millrace/contracts/pipelines';
import { connect } from '@millrace/sdk';
import { gateEvaluations, judgeAll, readDays } from './comparison.ts';
import { materialize } from './history.ts';
import { reportOf, untilDone, untilRetrained, untilServed } from './nights.ts';
import { applyPipeline, applyTrigger, startTraining } from './pipeline.ts';
import { startBoard } from './replay/board.ts';
import { readFlights } from './replay/flights.ts';
import { insist } from './replay/patience.ts';
import { replay } from './replay/replay.ts';
import { startCounts } from './replay/traffic.ts';
import { applyFeatures, createDeployments, createModel, dayMs } from './resources.ts';
import { screen } from './screen.ts';
import { readStory, stateWord } from './story.ts';

const { values: options } = parseArgs({
  options: {
    live: { type: 'string', default: '2001-06-08' },
    until: { type: 'string', default: '2001-06-21' },
    outcome: { type: 'string' },
  },
});
const calm = { from: '2001-04-23T00:00:00Z', until: '2001-05-14T00:00:00Z' };
const later = { from: '2001-05-14T00:00:00Z', until: '2001-05-21T00:00:00Z' };
/** From here on flights are played as they happen; what was before is history. */
const liveMs = Date.parse(`${options.live}T00:00:00Z`);
const endMs = Date.parse(`${options.until}T12:00:00Z`);

const begunMs = Date.now();
const say = (text: string) =>
  console.log(`${((Date.now() - begunMs) / 1000).toFixed(1).padStart(6)} s  ${text}`);
const millrace = connect();

say('Will a flight be more than 15 minutes late? US flights between the 30 busiest airports, spring 2001.');
await insist(() => applyFeatures(millrace, liveMs));
await insist(() => createModel(millrace));
await insist(() => applyPipeline(millrace));
const materialized = materialize(millrace, liveMs);
const flightsRead = readFlights(liveMs, endMs);
say('entities, source, feature views, model, gate and pipeline are declared');

const ranges = {
  train_from: calm.from,
  train_until: calm.until,
  evaluate_from: later.from,
  evaluate_until: later.until,
};
const first = await insist(() => startTraining(millrace, ranges, 'first-training'));
const run = await untilDone(millrace, first);
if (run.state !== PipelineRunState.SUCCEEDED)
  throw new Error(`the first training ended ${stateWord(run.state)}: ${run.reason}`);
say('a first model is trained on calm weeks, registered, gated and made champion');
await materialized;
await insist(() => createDeployments(millrace));
await untilServed(millrace);
await insist(() => applyTrigger(millrace));
const flights = await flightsRead;
say(
  `it is served; ${flights.length} flights from ${day(liveMs)} on are now played in the order they happened`,
);

const counts = startCounts();
const board = startBoard(millrace, flights.slice(0, 200));
let [retrainings, failedRetrainings, promoted, swapMs] = [0, 0, false, endMs];
await replay(millrace, {
  flights,
  fromMs: liveMs,
  untilMs: endMs,
  counts,
  onMorning: async (ended) => {
    const report = await reportOf(millrace, ended);
    const share = Math.round((report.drift?.share ?? 0) * 100);
    say(
      `${day(ended)}  ${String(report.rowCount).padStart(5)} flights, ${String(share).padStart(3)} % of columns drifted${report.drift?.drifted ? ': drift' : ''}`,
    );
    const retraining = await untilRetrained(millrace, report);
    if (!retraining) return;
    retrainings++;
    if (retraining.state !== PipelineRunState.SUCCEEDED) failedRetrainings++;
    const champion = await untilServed(millrace);
    promoted ||= !champion.endsWith('/1');
    swapMs = Math.min(swapMs, ended + dayMs);
    say(
      `the alarm started a retraining, which ended ${stateWord(retraining.state)}; ${champion.split('/').slice(-2).join(' ')} answers now`,
    );
  },
});
await board.stop();

const before = await judgeAll(millrace, liveMs, swapMs - (retrainings > 0 ? 2 * dayMs : 0), 'before');
const judgements = [
  ...before.filter((one) => one.version === '1'),
  ...(await gateEvaluations(millrace)),
  ...(retrainings > 0 ? await judgeAll(millrace, swapMs, endMs, 'after') : []),
];
const [story, days] = await Promise.all([readStory(millrace, begunMs), readDays(millrace)]);
const outcome = {
  begunMs,
  story,
  judgements,
  days,
  counts,
  board: board.counts,
  retrainings,
  failedRetrainings,
  promoted,
};
if (options.outcome)
  writeFileSync(
    options.outcome,
    JSON.stringify({ ...outcome, counts: { ...counts, byVersion: [...counts.byVersion] } }),
  );
console.log(screen(outcome));
millrace.close();

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
