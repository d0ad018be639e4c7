import { isCoded } from '@millrace/errors';
import type { Logger } from '@millrace/telemetry';
import { createCron } from './cron.ts';
import type { Run } from './domain/run.ts';
import { type Decided, decideTimes, type Schedule, type Starting } from './domain/schedule.ts';
import type { Engine } from './engine/engine.ts';
import type { Shards } from './engine/shards.ts';
import { sha256 } from './engine/work.ts';
import type { StartRun } from './start-run.ts';
import { originKey } from './store/collections.ts';
import { scheduleFired } from './store/events.ts';
import type { Store } from './store/store.ts';

export interface SchedulesDeps {
  readonly store: Store;
  readonly engine: Engine;
  readonly shards: Pick<Shards, 'owns'>;
  readonly startRun: StartRun;
  readonly now: () => number;
  readonly log: Logger;
}

/** The run of a schedule for a time: one id, so never two runs. */
const scheduledRunId = (of: Pick<Schedule, 'project' | 'name'>, timeMs: number): string =>
  sha256(`${of.project}/${of.name}@${timeMs}`).slice(0, 32);

/** Decides every time that came. Doing it twice, also in two processes, starts nothing twice. */
export async function tickSchedules(deps: SchedulesDeps): Promise<void> {
  const { store, shards, now, log } = deps;
  const due = await store.schedules.find({
    where: { dueMs: { gte: 0, lte: now() } },
    orderBy: [{ field: 'dueMs' }],
    limit: 1000,
  });
  for (const { doc } of due.items)
    if (shards.owns(`${doc.project}/${doc.name}`))
      await tick(deps, doc).catch((err: unknown) =>
        log.error({ err, schedule: doc.name }, 'a schedule could not be looked at; it is tried again'),
      );
}

/**
 * Decides on the schedule as it is, writes that down, and only then starts runs: of two replicas one decides, and what a
 * process that died had decided is done by the next one.
 */
async function tick(deps: SchedulesDeps, of: Pick<Schedule, 'project' | 'name'>): Promise<void> {
  const { store, now } = deps;
  const id = `${of.project}/${of.name}`;
  for (;;) {
    const held = await store.schedules.get(id);
    if (!held) return;
    const [first] = held.doc.starting ?? [];
    if (first) {
      await start(deps, held.doc, first);
      continue;
    }
    const open = await openRunsOf(deps, held.doc);
    const next = createCron(held.doc.cron, held.doc.timeZone);
    const nowMs = now();
    const decided = decideTimes(held.doc, next, open.length, nowMs);
    if (!decided) return;
    try {
      await store.schedules.change(id, (doc) => write(doc, decided, nowMs), { expect: held.version });
    } catch (error) {
      // Somebody applied or paused it, or another replica was faster: what is true now decides.
      if (!isCoded(error, 'VERSION_CONFLICT')) throw error;
    }
  }
}

const nextOf = (doc: Schedule, afterMs: number): number | null =>
  doc.paused ? null : (createCron(doc.cron, doc.timeZone)(afterMs) ?? null);

/** The schedule after a decision, and what is told of it at once. */
function write(doc: Schedule, decided: Decided, nowMs: number) {
  const { starting, leftOut, bufferedMs, upToMs } = decided;
  const last = [...leftOut, ...starting].sort((a, b) => a.timeMs - b.timeMs).at(-1);
  const { bufferedMs: _, ...rest } = doc;
  return {
    doc: {
      ...rest,
      ...(bufferedMs === undefined ? {} : { bufferedMs }),
      decidedUpToMs: upToMs,
      // Until its runs are started and told, it shows the time that came.
      ...(starting.length === 0 ? { nextAtMs: nextOf(doc, upToMs) } : {}),
      starting,
      ...(last ? { lastTimeMs: last.timeMs, lastReason: last.reason } : {}),
    },
    emit: leftOut.map((time) => scheduleFired(doc, time.timeMs, undefined, time.reason, nowMs)),
  };
}

const openRunsOf = ({ store }: SchedulesDeps, { project, name }: Schedule): Promise<Run[]> =>
  store.openRunsOf(originKey({ project, origin: { kind: 'schedule', source: name } }));

/** Starts the run that was decided upon, and tells of it. */
async function start(deps: SchedulesDeps, schedule: Schedule, time: Starting): Promise<void> {
  const { store, startRun, now } = deps;
  const { project, name, pipeline, timeParameter } = schedule;
  const { timeMs } = time;
  if (time.cancelOthers) await cancelEarlier(deps, schedule, timeMs);
  const given = schedule.parameters.filter((p) => p.name !== timeParameter);
  const parameters = timeParameter
    ? [...given, { name: timeParameter, value: new Date(timeMs).toISOString() }]
    : given;
  let run: string | undefined;
  let { reason } = time;
  try {
    const made = await startRun({
      project,
      id: scheduledRunId(schedule, timeMs),
      pipeline,
      version: 0,
      parameters,
      tags: [],
      noCache: false,
      origin: { kind: 'schedule', source: name, logicalTimeMs: timeMs },
    });
    run = made.run.doc.id;
  } catch (error) {
    // The pipeline changed under the schedule: no use in trying again, but it is told.
    if (!isCoded(error, 'not_found') && !isCoded(error, 'invalid_argument')) throw error;
    reason = error.message;
  }
  await store.schedules.change(`${project}/${name}`, (doc) => {
    if (!doc.starting?.some((other) => other.timeMs === timeMs)) return undefined;
    const starting = doc.starting.filter((other) => other.timeMs !== timeMs);
    return {
      doc: {
        ...doc,
        starting,
        ...(starting.length === 0 ? { nextAtMs: nextOf(doc, doc.decidedUpToMs) } : {}),
        ...(run === undefined ? { lastReason: reason } : { lastRun: run }),
      },
      emit: [scheduleFired(doc, timeMs, run, reason, now())],
    };
  });
}

async function cancelEarlier(deps: SchedulesDeps, schedule: Schedule, timeMs: number): Promise<void> {
  const { store, engine } = deps;
  for (const run of await openRunsOf(deps, schedule)) {
    if ((run.origin.logicalTimeMs ?? 0) >= timeMs) continue;
    const reason = 'a later time of its schedule came, and overlap is CANCEL_OTHER';
    const changed = await store.changeRun(run.project, run.id, {
      do: 'stop',
      to: 'cancelled',
      reason,
      force: false,
    });
    if (changed) await engine.submit(changed.doc);
  }
}
