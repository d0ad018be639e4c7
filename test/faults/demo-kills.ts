/**
 * The example is played once in peace and then again while, in the middle of it, every service and NATS are killed with
 * SIGKILL and started again. Whatever is killed, the end states must be the same. `--seed N` chooses the moments,
 * `--only training|replay` one of the two disturbed plays.
 */
import { parseArgs } from 'node:util';
import { differences, streamsAspect } from './end-state.ts';
import { type Kill, killAll, replayKills, trainingKills } from './kills.ts';
import { type Played, play } from './play.ts';

const { values: options } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, only: { type: 'string' } },
});
const seed = Number(options.seed);
const days = { live: '2001-06-09', until: '2001-06-16' };
const limitMs = 330_000;
/** All plays together; what has not begun by then is a failure. */
const endMs = Date.now() + 590_000;
let [passed, failed] = [0, 0];

function tell(ok: boolean, what: string, reasons: readonly string[] = []): void {
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${what}`);
  for (const reason of reasons) console.log(`        ${reason}`);
}

const peace = await attempt('in peace', () => play({ ...days, limitMs: left() }));
if (peace) {
  const empty = Object.keys(peace.state).filter((aspect) => isEmpty(peace.state[aspect]));
  tell(empty.length === 0, 'in peace: every aspect of the end state says something', empty);
  tellStreams('in peace', peace);
  for (const [title, kills, shift] of [
    ['training', trainingKills, 0],
    ['replay', replayKills, 1000],
  ] as const) {
    if (options.only && options.only !== title) continue;
    await compare(title, kills, seed + shift, peace);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

async function compare(title: string, kills: readonly Kill[], chosen: number, calm: Played): Promise<void> {
  let struck: readonly Kill[] = [];
  const disturbed = await attempt(`${title}, with kills (seed ${chosen})`, () =>
    play({
      ...days,
      limitMs: left(),
      disturb: async (game) => {
        struck = await killAll(game, kills, chosen);
      },
    }),
  );
  if (!disturbed) return;
  for (const kill of kills) {
    const when = kill.step ? `step ${kill.step.name} of run ${kill.step.run}` : String(kill.after);
    tell(struck.includes(kill), `${title}: ${kill.victim} killed at ${when}`);
  }
  tellStreams(title, disturbed);
  for (const aspect of Object.keys(calm.state)) {
    const found = differences(calm.state[aspect], disturbed.state[aspect]);
    tell(found.length === 0, `${title}: ${aspect} as in peace`, found);
  }
}

/** A stream is a whole copy of its record, kills or not. */
function tellStreams(title: string, { state }: Played): void {
  const faults = Object.entries(state[streamsAspect] as Record<string, readonly string[]>);
  const found = faults.flatMap(([context, texts]) => texts.map((text) => `${context}: ${text}`));
  tell(found.length === 0, `${title}: each stream holds each event of its record once, in order`, found);
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value ?? {}).length === 0)
  );
}

async function attempt(what: string, run: () => Promise<Played>): Promise<Played | undefined> {
  try {
    const played = await run();
    tell(true, `${what}: played to the end in ${played.seconds.toFixed(0)} s`);
    return played;
  } catch (error) {
    tell(false, `${what}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function left(): number {
  return Math.max(1, Math.min(limitMs, endMs - Date.now()));
}
