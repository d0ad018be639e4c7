import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { type CatchUp, Overlap } from '@millrace/contracts/pipelines';
import { tempDir, until } from '@millrace/testing';
import { shell, startWorkshop, type Workshop } from './pipelines.ts';
import type { Chance } from './scenario.ts';
import { clockEnv, shiftClock } from './shifted-clock.ts';

/** A schedule while whose scheduler is dead times pass, and those that it must start a run for, once it is back. */
export interface Missed {
  readonly id: string;
  readonly cron: string;
  readonly timeZone?: string;
  readonly catchUp: CatchUp;
  readonly expected: readonly string[];
}

/** Schedules and the time in which there is no scheduler. */
export interface Outage {
  readonly from: string;
  readonly to: string;
  readonly schedules: readonly Missed[];
}

/** The runs that had to be started, and those that were: `SCHEDULE TIME` each. */
export interface Caught {
  readonly expected: readonly string[];
  readonly started: readonly string[];
}

/**
 * Kills the orchestrator, lets the clock go on, and starts it again and again, killing it so many times at some moment of
 * its catching up.
 */
export async function missTimes(outages: readonly Outage[], kills: number, chance: Chance): Promise<Caught> {
  await using folder = tempDir();
  const clock = join(folder.path, 'clock');
  const set = (time: string) => shiftClock(clock, Date.parse(time) - Date.now());
  await set(outages[0]!.from);
  await using at = await startWorkshop({ ...clockEnv(clock), LEASE_MS: '2000' });
  const { pipelines, schedules, parent } = at.millrace;
  const pipeline = `${parent}/pipelines/scheduled`;
  await pipelines.applyPipeline({ pipeline: { name: pipeline, spec: { steps: [shell(at, 'a', 'true')] } } });
  const expected: string[] = [];
  const started: string[] = [];
  for (const outage of outages) {
    await set(outage.from);
    for (const { id, cron, timeZone = '', catchUp } of outage.schedules) {
      const name = `${parent}/schedules/${id}`;
      const rest = { cron, timeZone, catchUp, overlap: Overlap.ALLOW };
      await schedules.applySchedule({ schedule: { name, pipeline, ...rest } });
    }
    await at.service.kill9();
    await set(outage.to);
    for (let kill = 0; kill < kills; kill++) {
      await at.service.restart();
      await sleep(chance.between(0, 300));
      await at.service.kill9();
    }
    await at.service.restart();
    for (const { id } of outage.schedules) await decided(at, id, Date.parse(outage.to));
    for (const { id, expected: times } of outage.schedules)
      expected.push(...times.map((time) => `${id} ${time}`));
    started.push(...(await runsIn(at, outage)));
    for (const { id } of outage.schedules)
      await schedules.deleteSchedule({ name: `${parent}/schedules/${id}` });
  }
  return { expected, started };
}

/** Waits until all times before this one are decided. */
async function decided({ millrace }: Workshop, id: string, timeMs: number): Promise<void> {
  const name = `${millrace.parent}/schedules/${id}`;
  await until(
    async () => {
      const { schedule } = await millrace.schedules.getSchedule({ name });
      return schedule?.nextTime && timestampMs(schedule.nextTime) > timeMs;
    },
    { what: `all times of ${id} being decided`, timeoutMs: 30_000 },
  );
}

/** The schedules and times of the runs that were started for the time of the outage. */
async function runsIn({ millrace }: Workshop, { from, to }: Outage): Promise<string[]> {
  const { parent } = millrace;
  const { pipelineRuns } = await millrace.pipelineRuns.listPipelineRuns({ parent, pageSize: 1000 });
  return pipelineRuns
    .flatMap(({ origin }) =>
      origin?.logicalTime ? [{ ...origin, timeMs: timestampMs(origin.logicalTime) }] : [],
    )
    .filter(({ timeMs }) => timeMs > Date.parse(from) && timeMs <= Date.parse(to))
    .map(({ resource, timeMs }) => `${resource.split('/').at(-1)} ${new Date(timeMs).toISOString()}`);
}
