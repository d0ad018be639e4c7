import { CatchUp, Overlap, type Schedule } from '@millrace/contracts/pipelines';
import {
  type FakeClock,
  fakeClock,
  startNats,
  type TempDir,
  type TestNats,
  tempDir,
  until,
} from '@millrace/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCron } from '../src/cron.ts';
import { decideOverlap, decideTimes, dueTimes, type Schedule as Stored } from '../src/domain/schedule.ts';
import { finished, js, quick, startHere } from './orchestrator.ts';

const minute = 60_000;

describe('cron in a time zone', () => {
  const timesOf = (cron: string, zone: string, from: string, to: string) => {
    const next = createCron(cron, zone);
    const found: string[] = [];
    for (let at = next(Date.parse(from)); at !== undefined && at < Date.parse(to); at = next(at))
      found.push(new Date(at).toISOString().slice(0, 16));
    return found;
  };
  test('a time that the clocks skip fires once, after the jump', () => {
    // Zurich, 29 March 2026: 02:00 becomes 03:00.
    expect(timesOf('30 2 * * *', 'Europe/Zurich', '2026-03-28T12:00Z', '2026-03-30T12:00Z')).toEqual([
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
    expect(timesOf('0 * * * *', 'Europe/Zurich', '2026-03-28T23:30Z', '2026-03-29T03:30Z')).toHaveLength(4);
  });
  test('a time that comes twice fires once', () => {
    // Zurich, 25 October 2026: 03:00 becomes 02:00.
    expect(timesOf('30 2 * * *', 'Europe/Zurich', '2026-10-24T12:00Z', '2026-10-26T12:00Z')).toHaveLength(2);
  });
  test('the leap day is a day of its own', () => {
    expect(timesOf('0 0 29 2 *', 'UTC', '2026-01-01T00:00Z', '2033-01-01T00:00Z')).toEqual([
      '2028-02-29T00:00',
      '2032-02-29T00:00',
    ]);
  });
});

describe('ten times that passed unnoticed', () => {
  const next = (after: number) => (Math.floor(after / minute) + 1) * minute;
  const nowMs = 10 * minute + 30_000;
  test.each([
    ['none', 100, []],
    ['last', 100, [10]],
    ['all', 100, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['all', 3, [8, 9, 10]],
  ] as const)('catch-up %s, at most %d', (catchUp, maxCatchUp, expected) => {
    const due = dueTimes({ catchUp, maxCatchUp, decidedUpToMs: 0 }, next, nowMs);
    expect(due.filter((d) => d.leftOut === undefined).map((d) => d.timeMs / minute)).toEqual(expected);
  });
  test('a year of seconds is looked at within bounds', () => {
    const due = dueTimes(
      { catchUp: 'last', maxCatchUp: 5, decidedUpToMs: 0 },
      (after) => after + 1000,
      90_000_000,
    );
    expect(due.filter((d) => d.leftOut === undefined)).toEqual([{ timeMs: 90_000_000 }]);
  });
});

test('overlap, by rule', () => {
  expect(
    (['skip', 'buffer_one', 'allow', 'cancel_other'] as const).map(
      (rule) => decideOverlap(rule, 1, false).do,
    ),
  ).toEqual(['leave_out', 'buffer', 'run', 'cancel_and_run']);
  expect(decideOverlap('buffer_one', 1, true).do).toBe('leave_out');
  expect(decideOverlap('skip', 0, false).do).toBe('run');
});

test('a time that waits is left out, once, when the overlap rule is SKIP by now', () => {
  const schedule = {
    overlap: 'skip',
    bufferedMs: minute,
    paused: false,
    decidedUpToMs: 2 * minute,
  } as Stored;
  const decided = decideTimes(schedule, () => undefined, 1, 3 * minute);
  expect(decided?.leftOut.map(({ timeMs }) => timeMs)).toEqual([minute]);
  expect(decided).not.toHaveProperty('bufferedMs');
});

describe('a schedule', () => {
  let nats: TestNats;
  let folder: TempDir;
  let clock: FakeClock;
  let at: Awaited<ReturnType<typeof startHere>>;
  let serial = 0;
  beforeAll(async () => {
    nats = await startNats();
    folder = tempDir();
    clock = fakeClock(Date.UTC(2026, 5, 1, 0, 0, 30));
    at = await start();
    await at.pipelines.applyPipeline({
      pipeline: { name: 'projects/default/pipelines/p', spec: { steps: [quick('a')] } },
    });
    const slow = {
      steps: [js('a', 'setInterval(() => {}, 1000)', { command: { stopGrace: { nanos: 1e8 } } })],
    };
    await at.pipelines.applyPipeline({ pipeline: { name: 'projects/default/pipelines/slow', spec: slow } });
  });
  afterAll(async () => {
    await at?.stop();
    await nats?.stop();
    await folder?.remove();
  });
  beforeEach(() => {
    serial += 1;
  });
  const start = () =>
    startHere({ DATA_DIR: folder.path, NATS_URL: nats.url, LEASE_MS: '600000' }, () => clock.now());
  const apply = async (rest: object, pipeline = 'p') => {
    const name = `projects/default/schedules/s${serial}`;
    const { schedule } = await at.schedules.applySchedule({
      schedule: {
        name,
        pipeline: `projects/default/pipelines/${pipeline}`,
        cron: '* * * * *',
        overlap: Overlap.ALLOW,
        ...rest,
      },
    });
    return schedule as Schedule;
  };
  const runsOf = async (schedule: Schedule) => {
    const { pipelineRuns } = await at.runs.listPipelineRuns({ parent: 'projects/default', pageSize: 1000 });
    return pipelineRuns.filter((run) => run.origin?.resource === schedule.name);
  };
  const get = async (of: Schedule) => (await at.schedules.getSchedule({ name: of.name })).schedule!;
  const decided = (of: Schedule) =>
    until(async () => Number((await get(of)).nextTime?.seconds) * 1000 > clock.now());

  test.each([
    [CatchUp.NONE, 0],
    [CatchUp.LAST, 1],
    [CatchUp.ALL, 10],
  ])(
    'that was down for ten times, catch-up %d: %d runs, also after another restart',
    async (catchUp, expected) => {
      const schedule = await apply({ catchUp });
      await at.stop();
      clock.advance(10 * minute);
      at = await start();
      await decided(schedule);
      expect(await runsOf(schedule)).toHaveLength(expected);
      await at.stop();
      at = await start();
      await decided(schedule);
      expect(await runsOf(schedule)).toHaveLength(expected);
      for (const run of await runsOf(schedule)) expect((await finished(at, run.name)).word).toBe('SUCCEEDED');
      await at.schedules.pauseSchedule({ name: schedule.name, paused: true });
    },
  );

  test('fires on time, and not while it rests', async () => {
    const schedule = await apply({ catchUp: CatchUp.NONE });
    clock.set((Math.floor(clock.now() / minute) + 1) * minute + 100);
    const [run] = await until(async () => {
      const found = await runsOf(schedule);
      return found.length === 1 && found;
    });
    expect(Number(run?.origin?.logicalTime?.seconds) % 60).toBe(0);
    await at.schedules.pauseSchedule({ name: schedule.name, paused: true });
    clock.advance(3 * minute);
    await at.schedules.pauseSchedule({ name: schedule.name, paused: false });
    await new Promise((settle) => setTimeout(settle, 600));
    expect(await runsOf(schedule)).toHaveLength(1);
    await at.schedules.deleteSchedule({ name: schedule.name });
    await expect(at.schedules.getSchedule({ name: schedule.name })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('lets one time wait for the earlier run, and leaves further ones out', async () => {
    const schedule = await apply({ overlap: Overlap.BUFFER_ONE }, 'slow');
    for (const runs of [1, 1, 1]) {
      clock.set((Math.floor(clock.now() / minute) + 1) * minute + 100);
      await decided(schedule);
      await until(async () => (await runsOf(schedule)).length === runs);
    }
    expect((await get(schedule)).lastReason).toContain('another time waits already');
    const [first] = await runsOf(schedule);
    await at.runs.cancelPipelineRun({ name: first!.name });
    await until(async () => (await runsOf(schedule)).length === 2);
    await at.schedules.deleteSchedule({ name: schedule.name });
    for (const run of await runsOf(schedule))
      if (run.name !== first!.name) await at.runs.cancelPipelineRun({ name: run.name });
  });

  test.each([
    [{ cron: '61 * * * *' }, 'schedule.cron'],
    [{ cron: '* *' }, 'schedule.cron'],
    [{ timeZone: 'Mars/Base' }, 'schedule.time_zone'],
    [{ pipeline: 'projects/default/pipelines/none' }, 'schedule.pipeline'],
    [
      { parameters: [{ name: 'x', value: { kind: { case: 'boolValue' as const, value: true } } }] },
      'schedule.parameters[0].name',
    ],
  ])('with %j is refused', async (rest, field) => {
    await expect(apply(rest)).rejects.toMatchObject({ kind: 'invalid_argument', violations: [{ field }] });
  });
});
