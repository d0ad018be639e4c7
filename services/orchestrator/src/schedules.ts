import { isCoded } from '@millrace/errors';
import type { Logger } from '@millrace/telemetry';
import { createCron } from './cron.ts';
import { decideOverlap, dueTimes, type Schedule } from './domain/schedule.ts';
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

async function tick(deps: SchedulesDeps, schedule: Schedule): Promise<void> {
  const { store, now } = deps;
  const next = createCron(schedule.cron, schedule.timeZone);
  const nowMs = now();
  const decided: { timeMs: number; run?: string; reason: string }[] = [];
  let bufferedMs = schedule.bufferedMs;

  const due = schedule.paused ? [] : dueTimes(schedule, next, nowMs);
  const times = [...(bufferedMs === undefined ? [] : [{ timeMs: bufferedMs, buffered: true }]), ...due];
  for (const time of times) {
    if ('leftOut' in time && time.leftOut !== undefined) {
      decided.push({ timeMs: time.timeMs, reason: time.leftOut });
      continue;
    }
    const open = await store.openRunsOf(
      originKey({ project: schedule.project, origin: { kind: 'schedule', source: schedule.name } }),
    );
    const id = scheduledRunId(schedule, time.timeMs);
    // After a crash between the two writes the run of this very time is there already.
    const others = open.filter((run) => run.id !== id);
    const isBuffered = 'buffered' in time;
    const verdict = decideOverlap(schedule.overlap, others.length, bufferedMs !== undefined && !isBuffered);
    if (verdict.do === 'leave_out') decided.push({ timeMs: time.timeMs, reason: verdict.reason });
    else if (verdict.do === 'buffer') bufferedMs = time.timeMs;
    else {
      if (verdict.do === 'cancel_and_run')
        await cancelAll(
          deps,
          others.map((run) => run.id),
          schedule.project,
        );
      if (isBuffered) bufferedMs = undefined;
      decided.push(await start(deps, schedule, time.timeMs, verdict.reason));
    }
  }
  await store.schedules.change(`${schedule.project}/${schedule.name}`, (doc) => {
    // Somebody applied or paused it meanwhile: the times are looked at again, and their runs are the same.
    if (doc.updatedAtMs !== schedule.updatedAtMs || doc.decidedUpToMs !== schedule.decidedUpToMs)
      return undefined;
    if (due.length === 0 && decided.length === 0) return undefined;
    const last = decided.at(-1);
    const lastRun = decided.findLast((d) => d.run !== undefined)?.run;
    const { bufferedMs: _, ...rest } = doc;
    return {
      doc: {
        ...rest,
        ...(bufferedMs === undefined ? {} : { bufferedMs }),
        decidedUpToMs: due.length > 0 ? nowMs : doc.decidedUpToMs,
        nextAtMs: doc.paused ? null : (next(nowMs) ?? null),
        ...(last ? { lastTimeMs: last.timeMs, lastReason: last.reason } : {}),
        ...(lastRun === undefined ? {} : { lastRun }),
      },
      emit: decided.map((d) => scheduleFired(doc, d.timeMs, d.run, d.reason, nowMs)),
    };
  });
}

async function start(deps: SchedulesDeps, schedule: Schedule, timeMs: number, reason: string) {
  const { project, name, pipeline, timeParameter } = schedule;
  const given = schedule.parameters.filter((p) => p.name !== timeParameter);
  const parameters = timeParameter
    ? [...given, { name: timeParameter, value: new Date(timeMs).toISOString() }]
    : given;
  try {
    const { run } = await deps.startRun({
      project,
      id: scheduledRunId(schedule, timeMs),
      pipeline,
      version: 0,
      parameters,
      tags: [],
      noCache: false,
      origin: { kind: 'schedule', source: name, logicalTimeMs: timeMs },
    });
    return { timeMs, run: run.doc.id, reason };
  } catch (error) {
    // The pipeline changed under the schedule: no use in trying again, but it is told.
    if (isCoded(error, 'not_found') || isCoded(error, 'invalid_argument'))
      return { timeMs, reason: error.message };
    throw error;
  }
}

async function cancelAll(
  { store, engine }: SchedulesDeps,
  runs: readonly string[],
  project: string,
): Promise<void> {
  for (const run of runs) {
    const reason = 'a later time of its schedule came, and overlap is CANCEL_OTHER';
    const changed = await store.changeRun(project, run, {
      do: 'stop',
      to: 'cancelled',
      reason,
      force: false,
    });
    if (changed) await engine.submit(changed.doc);
  }
}
