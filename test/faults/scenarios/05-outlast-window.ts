import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { pipelinesEvents, streamOf, trackingEvents } from '@millrace/contracts';
import { type Bus, connectBus, handler, noLog, subscribe } from '@millrace/events';
import { connect, type Millrace } from '@millrace/sdk';
import { freePort, startNats, startService, tempDir, until } from '@millrace/testing';
import { readRecord } from '../demo/records.ts';
import { outlastWindow } from '../relay-kills.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { readEvents } from '../streams.ts';
import { tally, untilMet } from '../tally.ts';

const { runCreated } = trackingEvents;
const { triggerFired } = pipelinesEvents;

/** What became of the events of new runs: what a trigger made of them, and how often they were delivered. */
interface Effects {
  readonly effects: Outcome;
  readonly deliveries: Outcome;
}

/**
 * Creates runs, kills tracking where it has published that and not remembered it, and starts it again when the stream
 * has forgotten what it holds. Not every kill leaves something to publish twice. A trigger of the orchestrator listens, and
 * beside it a handler that is not idempotent.
 */
async function publishTwice(chance: Chance): Promise<Effects> {
  await using nats = await startNats();
  await using folder = tempDir('millrace-window-');
  const env = { NATS_URL: nats.url, LOG_LEVEL: 'warn' };
  await using pipelines = await startService('orchestrator', { env });
  const port = await freePort();
  const services = { tracking: `127.0.0.1:${port}`, pipelines: pipelines.address };
  const millrace = connect({ endpoints: { services }, project: 'default' });
  const bus = await connectBus({ url: nats.url, name: 'observer' });
  const delivered: string[] = [];
  const count = handler(runCreated, async ({ id }) => void delivered.push(id));
  const counting = await subscribe(bus, { durable: 'counting', on: [count], log: noLog });
  try {
    await applyTrigger(millrace);
    const place = { dataDir: folder.path, port, env };
    const race = { point: 'relay.after-publish', nth: chance.between(5, 12), signal: 'kill' } as const;
    const tracking = await startService('tracking', { ...place, race });
    const creating = createRuns(millrace);
    await tracking.reached;
    await tracking.kill9();
    const created = creating.stop();
    await outlastWindow(bus);
    await using _ = await startService('tracking', place);
    const runs = await created;
    const look = async () => {
      const events = (await readEvents(bus, 'tracking')).filter(({ type }) => type === runCreated.type);
      const about = new Set(events.map(({ resource }) => resource));
      return runs.every((run) => about.has(run)) && events.map(({ id }) => id);
    };
    await until(look, { what: 'all runs in the stream', timeoutMs: 30_000 });
    // The relay begins again with the batch that it does not know to be published.
    const someTwice = async () => {
      const ids = await look();
      return ids && new Set(ids).size < ids.length;
    };
    const missed = await until(someTwice, { timeoutMs: 5_000 }).then(
      () => undefined,
      () => 'nothing was published twice',
    );
    const isDone = () => isIdle(bus, `pipelines-trigger-${runCreated.type.replaceAll('.', '_')}`);
    await until(isDone, { what: 'the trigger having answered', timeoutMs: 30_000 });
    const held = await until(look);
    await until(() => delivered.length >= held.length, { what: 'all deliveries', timeoutMs: 30_000 });
    const effects = { ...tally(held, await answers(millrace)), missed };
    return { effects, deliveries: tally(held, delivered) };
  } finally {
    await counting.stop();
    await bus.close();
    millrace.close();
  }
}

/** Every new run is shown to it; the first starts a run of a pipeline, the others come while it cools down. */
async function applyTrigger({ pipelines, triggers, parent }: Millrace): Promise<void> {
  const pipeline = `${parent}/pipelines/after`;
  await pipelines.applyPipeline({
    pipeline: {
      name: pipeline,
      spec: { steps: [{ name: 'one', action: { case: 'command', value: { argv: ['/bin/true'] } } }] },
    },
  });
  const trigger = { name: `${parent}/triggers/after`, pipeline, eventType: runCreated.type };
  await triggers.applyTrigger({ trigger: { ...trigger, coolDown: { seconds: 600n } } });
}

/** Creates runs, four at a time, until it is stopped; then answers their names. */
function createRuns({ tracking, parent }: Millrace) {
  const created: string[] = [];
  let stopping = false;
  const working = [1, 2, 3, 4].map(async (worker) => {
    for (let index = 0; !stopping; index++) {
      const requestId = `run-${worker}-${index}`;
      const { run } = await insist(() => tracking.createRun({ parent, run: {}, requestId }));
      created.push(run?.name ?? '');
      await sleep(10);
    }
  });
  return {
    stop: async () => {
      stopping = true;
      await Promise.all(working);
      return created;
    },
  };
}

/** Whether a consumer of tracking's events has answered all there are. */
async function isIdle(bus: Bus, durable: string): Promise<boolean> {
  const info = await (await bus.manager()).consumers.info(streamOf('tracking').name, durable);
  return info.num_pending + info.num_ack_pending === 0;
}

/** Asks until it is answered; requests carry their id. */
const insist = <T>(call: () => Promise<T>) => until(call, { timeoutMs: 30_000 });

/** The events to which the trigger answered, once for each answer. */
async function answers(millrace: Millrace): Promise<string[]> {
  const record = await readRecord(millrace, 'pipelines', [triggerFired.type]);
  return record.map(({ data }) => fromBinary(triggerFired.schema, data).eventId);
}

let deliveries = tally([], []);

export const scenario: Scenario = {
  number: 5,
  name: 'kill -9 of tracking after a publish, away for longer than the stream knows ids',
  invariant: 'the stream may hold an event twice, a trigger answers it once',
  run: (chance) =>
    untilMet(5, async () => {
      const outcome = await publishTwice(chance);
      deliveries = outcome.deliveries;
      return outcome.effects;
    }),
  // A handler that is not idempotent, beside the trigger.
  control: async () => deliveries,
};
