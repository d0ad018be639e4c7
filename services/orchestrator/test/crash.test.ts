import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutputKind } from '@millrace/contracts/pipelines';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import { startNats, startService, type TempDir, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startOf } from '../src/executor/process-identity.ts';
import {
  type Clients,
  clientsOf,
  finished,
  js,
  launch,
  number,
  quick,
  startProcess,
  states,
  tasksOf,
  value,
} from './orchestrator.ts';

let nats: TestNats;
let folder: TempDir;
beforeAll(async () => {
  nats = await startNats();
  folder = tempDir();
});
afterAll(async () => {
  await nats?.stop();
  await folder?.remove();
});
const env = (extra: object = {}) => ({
  DATA_DIR: folder.path,
  NATS_URL: nats.url,
  ORPHAN_GRACE_MS: '3000',
  ...extra,
});
const lines = (file: string) => {
  try {
    return readFileSync(join(folder.path, file), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};
/** Notes that it ran, and the process it was. */
const note = (file: string) =>
  `fs.appendFileSync(${JSON.stringify(join(folder.path, file))}, process.env.MILLRACE_TASK + ' ' + process.pid + '\\n');`;

test('killed again and again in the middle of a run, it runs every step once', async () => {
  let at = await startProcess(env());
  const json = { outputs: [{ name: 'y', kind: OutputKind.JSON }] };
  const items = {
    source: { case: 'items' as const, value: { values: [...Array(8).keys()].map(number) } },
    maxParallel: 3,
  };
  const name = await launch(at, 'crash', {
    steps: [
      js('first', `${note('ran')} setTimeout(() => fs.writeFileSync(out + '/y', '7'), 300)`, {
        command: json,
      }),
      js('item', `${note('ran')} setTimeout(() => fs.writeFileSync(out + '/y', process.argv[1]), 250)`, {
        args: ['${item}'],
        dependsOn: ['first'],
        forEach: items,
        command: json,
      }),
      js('last', `${note('ran')} fs.writeFileSync(out + '/y', process.argv[1])`, {
        args: ['${steps.item.outputs.y}'],
        command: json,
      }),
    ],
  });
  for (const waitMs of [100, 250, 400, 150]) {
    await new Promise((settle) => setTimeout(settle, waitMs));
    await at.kill();
    at = await startProcess(env());
  }
  const run = await finished(at, name);
  expect([run.word, run.reason]).toEqual(['SUCCEEDED', '']);
  const tasks = await tasksOf(at, name);
  expect(value(tasks.last, 'y')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(new Set(Object.values(states(tasks)))).toEqual(new Set(['SUCCEEDED']));
  const ran = lines('ran').map((line) => line.split(' ')[0]);
  expect(ran.sort()).toEqual(['first', ...[...Array(8).keys()].map((i) => `item.${i}`), 'last'].sort());
  for (const task of Object.values(tasks))
    expect(task.attempts.filter((a) => a.state !== 1).length).toBeLessThanOrEqual(1);
  await at.stop();
}, 60_000);

test('stopped gently it leaves no process, and the next one makes up for what was stopped', async () => {
  let at = await startProcess(env());
  const name = await launch(at, 'gentle', {
    steps: [
      js('a', `${note('gentle')} setTimeout(() => {}, process.env.MILLRACE_ATTEMPT === '1' ? 1e6 : 1)`),
    ],
  });
  await until(() => lines('gentle').length === 1);
  await at.stop();
  expect(lines('gentle').map((line) => startOf(Number(line.split(' ')[1])))).toEqual([undefined]);
  at = await startProcess(env());
  expect((await finished(at, name)).word).toBe('SUCCEEDED');
  expect((await tasksOf(at, name)).a?.attempts.map((a) => a.state)).toEqual([6, 2]);
  await at.stop();
}, 40_000);

test('stopped gently, it repeats a step that answered the stop with 0', async () => {
  let at = await startProcess(env());
  const polite = 'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000);';
  const code = `${note('polite')} if (process.env.MILLRACE_ATTEMPT === '1') { ${polite} }`;
  const name = await launch(at, 'polite', { steps: [js('a', code)] });
  await until(() => lines('polite').length === 1);
  await at.stop();
  at = await startProcess(env());
  expect((await finished(at, name)).word).toBe('SUCCEEDED');
  expect((await tasksOf(at, name)).a?.attempts.map((a) => a.state)).toEqual([6, 2]);
  await at.stop();
}, 40_000);

test('killed for good, its steps are stopped after the grace', async () => {
  const at = await startProcess(env({ ORPHAN_GRACE_MS: '1000' }));
  await launch(at, 'orphan', { steps: [js('a', `${note('orphan')} setInterval(() => {}, 1000)`)] });
  const pid = await until(() => Number(lines('orphan')[0]?.split(' ')[1]) || undefined);
  await at.kill();
  expect(startOf(pid)).toBeDefined();
  await until(() => startOf(pid) === undefined);
}, 30_000);

test('killed before it answers, an application is done once, and what was applied since stays', async () => {
  await using service = await startService('orchestrator', {
    env: { NATS_URL: nats.url, LOG_LEVEL: 'error' },
    race: { point: 'service.before-answer', signal: 'kill' },
  });
  const name = 'projects/default/pipelines/p';
  const apply = (at: Clients, step: string, requestId: string) =>
    at.pipelines.applyPipeline({ pipeline: { name, spec: { steps: [quick(step)] } }, requestId });
  let at = clientsOf(service.address);
  const cut = apply(at, 'a', 'one').catch(() => {});
  await service.reached;
  at.close();
  await service.restart();
  await cut;
  at = clientsOf(service.address);
  await apply(at, 'b', 'two');
  await apply(at, 'a', 'one');
  const { pipeline } = await at.pipelines.getPipeline({ name });
  expect([pipeline?.version, pipeline?.spec?.steps[0]?.name]).toEqual([2, 'b']);
  const { events } = await at.log.listEvents({ project: 'default', pageSize: 100 });
  expect(events.filter(({ type }) => type === pipelinesEvents.pipelineApplied.type)).toHaveLength(2);
  at.close();
}, 40_000);

test('frozen while another takes over, it is refused what it says later', async () => {
  // Two replicas on one store: the first holds every lease, freezes, and comes back after it lost them.
  const shared = { ...env(), LEASE_MS: '1000', SCAN_MS: '200', SHARDS: '2' };
  const go = JSON.stringify(join(folder.path, 'go'));
  const one = await startProcess(shared);
  const name = await launch(one, 'frozen', {
    steps: [js('a', `${note('frozen')} setInterval(() => fs.existsSync(${go}) && process.exit(0), 20)`)],
  });
  await until(() => lines('frozen').length === 1);
  one.freeze();
  const two = await startProcess(shared);
  const holder = await until(async () => {
    const task = (await tasksOf(two, name)).a;
    return (task?.attempts.at(-1)?.fence ?? 0n) > 1n && task;
  });
  expect(holder.word).toBe('RUNNING');
  one.thaw();
  writeFileSync(join(folder.path, 'go'), '');
  expect((await finished(two, name)).word).toBe('SUCCEEDED');
  const { a } = await tasksOf(two, name);
  expect(a?.attempts.filter((attempt) => attempt.state === 2)).toHaveLength(1);
  expect(lines('frozen')).toHaveLength(1);
  await one.kill();
  await two.stop();
}, 40_000);
