import { streamOf } from '@millrace/contracts';
import { ParameterType } from '@millrace/contracts/pipelines';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import { registryEvents } from '@millrace/contracts/registry-events';
import { newId } from '@millrace/documents';
import { type Bus, connectBus, draft, ensureStream, publish } from '@millrace/events';
import { silentLogger } from '@millrace/telemetry';
import { startNats, type TempDir, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventData } from '../src/triggers.ts';
import { finished, js, logOf, number, startHere } from './orchestrator.ts';

let nats: TestNats;
let folder: TempDir;
let at: Awaited<ReturnType<typeof startHere>>;
let bus: Bus;
const parent = 'projects/default';
const pipeline = `${parent}/pipelines/p`;

beforeAll(async () => {
  nats = await startNats();
  folder = tempDir();
  at = await startHere({ DATA_DIR: folder.path, NATS_URL: nats.url });
  bus = await connectBus({ url: nats.url, name: 'test', log: silentLogger });
  await ensureStream(bus, 'registry');
  await at.pipelines.applyPipeline({
    pipeline: {
      name: pipeline,
      spec: {
        parameters: [
          { name: 'model', type: ParameterType.STRING },
          { name: 'n', type: ParameterType.INT, defaultValue: number(0) },
        ],
        steps: [
          js('a', 'console.log(process.argv.slice(1).join())', { args: ['${params.model}', '${params.n}'] }),
        ],
      },
    },
  });
});
afterAll(async () => {
  await bus?.close();
  await at?.stop();
  await nats?.stop();
  await folder?.remove();
});

const moved = (model: string, id = newId()) =>
  publish(bus, registryEvents.aliasMoved, {
    project: 'default',
    resource: `${parent}/models/${model}/aliases/champion`,
    id,
    timeMs: Date.now(),
    data: { alias: `${parent}/models/${model}/aliases/champion` },
  });
const runs = async (trigger: string) =>
  (await at.runs.listPipelineRuns({ parent, pageSize: 1000 })).pipelineRuns.filter(
    (run) => run.origin?.resource === trigger,
  );
const apply = async (id: string, rest: object = {}) => {
  const name = `${parent}/triggers/${id}`;
  await at.triggers.applyTrigger({
    trigger: {
      name,
      pipeline,
      eventType: registryEvents.aliasMoved.type,
      parameters: [
        { name: 'model', source: { case: 'expression', value: 'event.data.alias.split("/")[3]' } },
        { name: 'n', source: { case: 'value', value: number(7) } },
      ],
      ...rest,
    },
  });
  return name;
};

test('an event starts one run, with parameters from the event, however often it is delivered', async () => {
  const name = await apply('one', {
    condition: 'event.data.alias.endsWith("/aliases/champion") && event.resource.contains("/m1/")',
    parameters: [
      { name: 'model', source: { case: 'expression', value: 'event.resource' } },
      { name: 'n', source: { case: 'value', value: number(7) } },
    ],
  });
  const id = newId();
  await moved('m1', id);
  await moved('m1', id);
  await moved('m2');
  const [run] = await until(async () => {
    const found = await runs(name);
    return found.length > 0 && found;
  });
  expect((await finished(at, run!.name)).word).toBe('SUCCEEDED');
  expect(await logOf(at, `${run!.name}/tasks/a`)).toBe(`${parent}/models/m1/aliases/champion,7\n`);
  expect(run?.origin?.eventId).toBe(id);
  expect(await runs(name)).toHaveLength(1);
  const { trigger } = await at.triggers.getTrigger({ name });
  expect([trigger?.fireCount, trigger?.lastRun]).toEqual([1n, run?.name]);
  await at.triggers.deleteTrigger({ name });
});

test('it cools down, and says so', async () => {
  const name = await apply('cool', {
    coolDown: { seconds: 600n },
    parameters: [{ name: 'model', source: { case: 'expression', value: 'event.id' } }],
  });
  await moved('a');
  await until(async () => (await runs(name)).length === 1);
  await moved('b');
  await until(async () =>
    (await at.triggers.getTrigger({ name })).trigger?.lastReason.includes('cools down'),
  );
  expect(await runs(name)).toHaveLength(1);
  await at.triggers.deleteTrigger({ name });
});

test('an event that was left out starts nothing when it is delivered again later', async () => {
  const name = await apply('once', {
    coolDown: { nanos: 400_000_000 },
    parameters: [{ name: 'model', source: { case: 'expression', value: 'event.id' } }],
  });
  const reason = async () => (await at.triggers.getTrigger({ name })).trigger?.lastReason ?? '';
  await moved('a');
  await until(async () => (await runs(name)).length === 1);
  const id = newId();
  await moved('b', id);
  await until(async () => (await reason()).includes('cools down'));
  await new Promise((settle) => setTimeout(settle, 450));
  // What a stream that lost its messages gets from the record: the same event at another place.
  for await (const { subject, headers, data } of bus.read(streamOf('registry').name))
    if (headers?.get('ce-id') === id) await bus.send({ subject, headers, data, id: `${id}:refill` });
  await moved('c');
  await until(async () => (await at.triggers.getTrigger({ name })).trigger?.fireCount === 2n);
  expect((await runs(name)).map((run) => run.origin?.eventId)).not.toContain(id);
  await at.triggers.deleteTrigger({ name });
});

test('events from before, and while it rests, start nothing', async () => {
  await moved('before');
  const name = await apply('rests', {
    paused: true,
    parameters: [{ name: 'model', source: { case: 'expression', value: 'event.resource' } }],
  });
  await moved('while');
  await at.triggers.pauseTrigger({ name, paused: false });
  await new Promise((settle) => setTimeout(settle, 20));
  await moved('after');
  const [run] = await until(async () => {
    const found = await runs(name);
    return found.length > 0 && found;
  });
  await finished(at, run!.name);
  expect(await logOf(at, `${run!.name}/tasks/a`)).toContain('/models/after/');
  expect(await runs(name)).toHaveLength(1);
  await at.triggers.deleteTrigger({ name });
});

test('an event whose parameters do not fit starts nothing and tells why', async () => {
  const name = await apply('wrong', {
    parameters: [{ name: 'model', source: { case: 'expression', value: '1 + 1' } }],
  });
  await moved('x');
  const reason = await until(
    async () => (await at.triggers.getTrigger({ name })).trigger?.lastReason || undefined,
  );
  expect(reason).toContain('is no text');
  await at.triggers.deleteTrigger({ name });
});

test.each([
  [{ eventType: 'millrace.no.such.v1' }, 'trigger.event_type'],
  [{ condition: 'event.' }, 'trigger.condition'],
  [{ condition: 'evnt.id == ""' }, 'trigger.condition'],
  [{ parameters: [] }, 'trigger.parameters'],
  [
    { parameters: [{ name: 'q', source: { case: 'value' as const, value: number(1) } }] },
    'trigger.parameters[0].name',
  ],
  [{ pipeline: 'projects/other/pipelines/p' }, 'trigger.pipeline'],
])('a trigger with %j is refused', async (rest, field) => {
  await expect(apply('bad', rest)).rejects.toMatchObject({
    kind: 'invalid_argument',
    violations: expect.arrayContaining([expect.objectContaining({ field })]),
  });
});

test('conditions see defaults, and 64-bit integers as numbers', () => {
  const { data } = draft(pipelinesEvents.attemptFinished, {
    project: 'p',
    resource: 'r',
    timeMs: 0,
    data: { attempt: { fence: 5n } },
  });
  expect(data.length).toBeGreaterThan(0);
  const schema = pipelinesEvents.attemptFinished.schema;
  const message = {
    $typeName: schema.typeName,
    task: 't',
    run: '',
    pipeline: '',
    willRetry: false,
    attempt: {
      $typeName: schema.fields[3]!.message!.typeName,
      number: 1,
      state: 2,
      reason: '',
      signal: '',
      fence: 5n,
      host: '',
      stdoutDigest: '',
      stderrDigest: '',
    },
  };
  expect(eventData(schema, message as never)).toMatchObject({
    task: 't',
    willRetry: false,
    attempt: { fence: 5, state: 'ATTEMPT_STATE_SUCCEEDED' },
  });
});
