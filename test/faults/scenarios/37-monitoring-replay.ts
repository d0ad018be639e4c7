import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { streamOf } from '@millrace/contracts';
import {
  Comparison,
  DriftMethod,
  type LogGroundTruthRequestSchema,
  Task,
} from '@millrace/contracts/monitoring';
import { servingEvents } from '@millrace/contracts/serving-events';
import { type Bus, connectBus, ensureStream, publish } from '@millrace/events';
import { connect, type Millrace, toBatch } from '@millrace/sdk';
import { freePort, startNats, startService, tempDir, until } from '@millrace/testing';
import { differences } from '../demo/end-state.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';

const hourMs = 3_600_000;
const firstMs = Date.UTC(2001, 5, 14);
const hours = 7;
/** From this hour on the data is another. */
const driftsFrom = 3;
const batchesPerHour = 4;
const batchRows = 40;
const consumers = [
  ['serving', 'monitoring-inference'],
  ['monitoring', 'monitoring-ground-truth'],
] as const;

/**
 * Plays inferences and labels to a monitoring service that is killed meanwhile; then replays all events from the first
 * one, into the same service and into an empty one. A spoiled stream has a batch more by then.
 */
async function replay(chance: Chance, spoiled: boolean): Promise<Outcome> {
  await using nats = await startNats();
  await using data = tempDir('millrace-monitoring-');
  const options = {
    dataDir: data.path,
    port: await freePort(),
    env: { NATS_URL: nats.url, LOG_LEVEL: 'error' },
  };
  const services = { monitoring: `127.0.0.1:${options.port}` };
  const millrace = connect({ endpoints: { services }, project: 'default' });
  const bus = await connectBus({ url: nats.url, name: 'scenario' });
  try {
    await ensureStream(bus, 'serving');
    const race = { point: 'consumer.after-handler', nth: chance.between(3, 20), signal: 'kill' } as const;
    const first = await startService('monitoring', spoiled ? options : { ...options, race });
    await declare(millrace);
    const playing = play(millrace, bus, chance);
    if (!spoiled) {
      await first.reached;
      await first.kill9();
      await sleep(chance.between(0, 500));
      await first.restart();
    }
    await playing;
    const played = await settled(millrace, bus);

    await first.kill9();
    let again = played;
    if (spoiled) await infer(bus, chance, { hour: hours + 1, batch: 0 });
    else {
      await forget(bus);
      await first.restart();
      again = await settled(millrace, bus);
      await first.kill9();
    }
    await forget(bus);
    await nats.kill();
    await using empty = tempDir('millrace-monitoring-');
    await using _second = await startService('monitoring', { ...options, dataDir: empty.path });
    await declare(millrace);
    await nats.restart();
    const anew = await settled(millrace, bus);

    // The last hour is open: nothing came after it.
    const sent = (hours - 1) * batchesPerHour * batchRows;
    const counted = played.reports.reduce((sum, { rowCount }) => sum + Number(rowCount), 0);
    const breaches = [
      ...differences(played, again, 'replayed into the same service'),
      ...differences(played, anew, 'replayed into an empty one'),
    ];
    if (played.alerts.length === 0) breaches.push('nothing raised an alarm');
    return {
      checked: sent,
      lost: Math.max(0, sent - counted),
      doubled: Math.max(0, counted - sent),
      breaches,
    };
  } finally {
    millrace.close();
    await bus.close();
  }
}

const deploymentOf = ({ parent }: Pick<Millrace, 'parent'>) => `${parent}/deployments/scores`;

/** A baseline and a monitor of one-hour windows with rules about drift, rows and performance. */
async function declare(millrace: Millrace): Promise<void> {
  const { monitoring, parent } = millrace;
  const baseline = `${parent}/baselines/calm`;
  const values = Array.from({ length: 600 }, (_, i) => i % 100);
  const batch = toBatch({
    x: { type: 'double', values },
    colour: { type: 'string', values: values.map((value) => (value % 3 === 0 ? 'red' : 'blue')) },
    score: { type: 'double', values: values.map((value) => value / 100) },
  });
  const requestId = 'baseline';
  await until(() =>
    monitoring.createBaseline({ parent, name: baseline, rows: { case: 'batch', value: batch }, requestId }),
  );
  const rule = { comparison: Comparison.GREATER_OR_EQUAL, resolveThreshold: 0 };
  await monitoring.applyMonitor({
    monitor: {
      name: `${parent}/monitors/scores`,
      deployment: deploymentOf(millrace),
      baseline,
      window: { length: durationFromMs(hourMs), minRows: 50, labelDelay: durationFromMs(hourMs) },
      drift: { method: DriftMethod.UNSPECIFIED, share: 0.5 },
      prediction: { task: Task.REGRESSION, column: 'score' },
      alertRules: [
        { ...rule, id: 'drift', metric: 'drift.share', threshold: 0.5 },
        { ...rule, id: 'rows', metric: 'quality.rows', threshold: batchRows * batchesPerHour + 1 },
        { ...rule, id: 'error', metric: 'performance.mae', threshold: 0.6 },
      ],
    },
  });
}

interface Place {
  readonly hour: number;
  readonly batch: number;
}

const idOf = ({ hour, batch }: Place) => `hour-${hour}-batch-${batch}`;

/** Logs a batch of inferences, as serving does. */
async function infer(bus: Bus, chance: Chance, place: Place): Promise<void> {
  const { hour, batch } = place;
  const shift = hour >= driftsFrom ? 60 : 0;
  const xs = Array.from({ length: batchRows }, () => chance.between(shift, 99));
  const ids = xs.map((_, row) => `${idOf(place)}/${row}`);
  const deployment = deploymentOf({ parent: 'projects/default' });
  await publish(bus, servingEvents.inferenceLogged, {
    project: 'default',
    resource: deployment,
    id: idOf(place),
    data: {
      deployment,
      modelVersion: 'projects/default/models/m/versions/1',
      sampleRate: 1,
      inferenceIds: ids,
      requestIds: ids,
      eventTimes: xs.map((_, row) => BigInt((firstMs + hour * hourMs + batch * 60_000 + row * 1000) * 1000)),
      inputs: toBatch({
        x: { type: 'double', values: xs },
        colour: { type: 'string', values: xs.map((x) => (x % 3 === 0 ? 'red' : 'blue')) },
      }),
      outputs: toBatch({ score: { type: 'double', values: xs.map((x) => x / 100) } }),
    },
  });
}

/** Hour after hour: inferences, then what was true of them. */
async function play(millrace: Millrace, bus: Bus, chance: Chance): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    for (let batch = 0; batch < batchesPerHour; batch++) {
      await infer(bus, chance, { hour, batch });
      const inferenceIds = Array.from({ length: batchRows }, (_, row) => `${idOf({ hour, batch })}/${row}`);
      const request = {
        deployment: deploymentOf(millrace),
        inferenceIds,
        labels: inferenceIds.map((_, row) => ({ kind: { case: 'doubleValue', value: row % 2 } as const })),
        knownTime: timestampFromMs(firstMs + hour * hourMs + batch * 60_000),
        requestId: idOf({ hour, batch }),
      };
      await label(millrace, request);
    }
  }
  // Labels of the day after end every wait for labels.
  await label(millrace, {
    deployment: deploymentOf(millrace),
    inferenceIds: ['none'],
    labels: [{ kind: { case: 'doubleValue', value: 0 } }],
    knownTime: timestampFromMs(firstMs + 24 * hourMs),
    requestId: 'end',
  });
}

/** Tells what was true, over a kill and a restart. */
const label = ({ monitoring }: Millrace, request: MessageInitShape<typeof LogGroundTruthRequestSchema>) =>
  until(() => monitoring.logGroundTruth(request), { timeoutMs: 60_000, what: 'labels that are taken' });

/** Makes the service's consumers forget how far they came. */
async function forget(bus: Bus): Promise<void> {
  const manager = await bus.manager();
  for (const [context, durable] of consumers) await manager.consumers.delete(streamOf(context).name, durable);
}

/** What is seen of the monitor once everything was consumed, every report is measured, and no more is to come. */
async function settled(millrace: Millrace, bus: Bus) {
  for (;;) {
    const before = await until(() => lookAt(millrace, bus), {
      timeoutMs: 60_000,
      everyMs: 100,
      what: 'all reports',
    });
    await sleep(1500);
    const after = await lookAt(millrace, bus).catch(() => undefined);
    if (isDeepStrictEqual(before, after)) return before;
  }
}

async function lookAt({ monitoring, parent: project }: Millrace, bus: Bus) {
  const manager = await bus.manager();
  for (const [context, durable] of consumers) {
    const info = await manager.consumers.info(streamOf(context).name, durable);
    if (info.num_pending > 0 || info.num_ack_pending > 0) return undefined;
  }
  const parent = `${project}/monitors/scores`;
  const { reports } = await monitoring.listReports({ parent });
  if (reports.length < hours - 1 || reports.some(({ performance }) => !performance)) return undefined;
  const { alerts } = await monitoring.listAlerts({ parent });
  return {
    reports: reports.map(({ createTime: _, updateTime: __, etag: ___, ...report }) => report),
    alerts: alerts
      .map(({ raiseTime: _, resolveTime: __, etag: ___, ...alert }) => alert)
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

export const scenario: Scenario = {
  number: 37,
  name: 'monitoring is killed, then all events are replayed from the first one, also into an empty store',
  invariant: 'the same reports, counts and alarms each time; each row counts once',
  run: (chance) => replay(chance, false),
  control: (chance) => replay(chance, true),
};
