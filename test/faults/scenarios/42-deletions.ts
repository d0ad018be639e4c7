import type { Context } from '@millrace/contracts';
import { ColumnType } from '@millrace/contracts/common';
import { AggregationFunction } from '@millrace/contracts/features';
import { isCoded } from '@millrace/errors';
import { connect, type Millrace } from '@millrace/sdk';
import { type ServiceName, startService } from '@millrace/testing';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { together } from '../tally.ts';

/** Something that can be made and deleted. */
interface Thing {
  /** Makes it, and what it needs; answers its name. */
  make(millrace: Millrace): Promise<string>;
  delete(millrace: Millrace, name: string, requestId: string): Promise<unknown>;
  /** The events that tell of both, without `millrace.<context>.` and version. @default `<thing>.deleted`, once */
  readonly told?: { readonly type: string; readonly times: number };
}

interface Owner {
  readonly service: ServiceName;
  readonly context: Context;
  readonly things: Readonly<Record<string, Thing>>;
}

const hour = { seconds: 3600n };
const step = { name: 's', action: { case: 'command' as const, value: { argv: ['/bin/true'] } } };

async function pipelineOf({ pipelines, parent }: Millrace): Promise<string> {
  const name = `${parent}/pipelines/p`;
  await pipelines.applyPipeline({ pipeline: { name, spec: { steps: [step] } } });
  return name;
}

async function entityOf({ features, parent }: Millrace): Promise<string> {
  const name = `${parent}/entities/machine`;
  await features.applyEntity({
    entity: { name, joinKeys: [{ name: 'machine', type: ColumnType.STRING }] },
  });
  return name;
}

const modelOf = async ({ registry, parent }: Millrace) =>
  (await registry.createModel({ parent, modelId: 'm' })).model!.name;

/** Every deletion that leaves nothing behind to tell that it was done. */
const owners: readonly Owner[] = [
  {
    service: 'tracking',
    context: 'tracking',
    things: {
      artifact: {
        async make({ tracking, parent }) {
          const run = (await tracking.createRun({ parent, run: {} })).run!.name;
          await tracking.uploadArtifact(
            (async function* () {
              yield { part: { case: 'header' as const, value: { run, path: 'a.txt' } } };
              yield { part: { case: 'chunk' as const, value: Buffer.from('a') } };
            })(),
          );
          return run;
        },
        delete: ({ tracking }, parent, requestId) =>
          tracking.deleteArtifact({ parent, path: 'a.txt', requestId }),
      },
    },
  },
  {
    service: 'registry',
    context: 'registry',
    things: {
      model: {
        make: modelOf,
        delete: ({ registry }, name, requestId) => registry.deleteModel({ name, requestId }),
      },
      gate: {
        async make(millrace) {
          const gate = { alias: 'champion', expression: 'candidate.metrics.auc > 0.5' };
          const parent = await modelOf(millrace);
          return (await millrace.registry.createGate({ parent, gateId: 'g', gate })).gate!.name;
        },
        delete: ({ registry }, name, requestId) => registry.deleteGate({ name, requestId }),
        told: { type: 'gate.changed', times: 2 },
      },
    },
  },
  {
    service: 'feature-store',
    context: 'features',
    things: {
      entity: {
        make: entityOf,
        delete: ({ features }, name, requestId) => features.deleteEntity({ name, requestId }),
      },
      view: {
        async make(millrace) {
          const name = `${millrace.parent}/featureViews/clicks`;
          const n = { name: 'n', function: AggregationFunction.COUNT, window: hour };
          await millrace.features.applyFeatureView({
            featureView: {
              name,
              entities: [await entityOf(millrace)],
              timestampColumn: 'at',
              columns: [
                { name: 'machine', type: ColumnType.STRING },
                { name: 'at', type: ColumnType.TIMESTAMP },
              ],
              aggregations: [n],
            },
          });
          return name;
        },
        delete: ({ features }, name, requestId) => features.deleteFeatureView({ name, requestId }),
      },
    },
  },
  {
    service: 'orchestrator',
    context: 'pipelines',
    things: {
      schedule: {
        async make(millrace) {
          const name = `${millrace.parent}/schedules/s`;
          const pipeline = await pipelineOf(millrace);
          await millrace.schedules.applySchedule({ schedule: { name, pipeline, cron: '0 0 1 1 *' } });
          return name;
        },
        delete: ({ schedules }, name, requestId) => schedules.deleteSchedule({ name, requestId }),
      },
      trigger: {
        async make(millrace) {
          const name = `${millrace.parent}/triggers/t`;
          const pipeline = await pipelineOf(millrace);
          const eventType = 'millrace.monitoring.alert.raised.v1';
          await millrace.triggers.applyTrigger({ trigger: { name, pipeline, eventType } });
          return name;
        },
        delete: ({ triggers }, name, requestId) => triggers.deleteTrigger({ name, requestId }),
      },
    },
  },
  {
    service: 'serving',
    context: 'serving',
    things: {
      deployment: {
        async make({ deployments, parent }) {
          const selector = { case: 'alias' as const, value: 'champion' };
          const target = { model: `${parent}/models/m`, selector, weight: 1 };
          const deployment = { targets: [target] };
          const request = { parent, deploymentId: 'd', deployment };
          return (await deployments.createDeployment(request)).deployment!.name;
        },
        delete: ({ deployments }, name, requestId) => deployments.deleteDeployment({ name, requestId }),
      },
    },
  },
  {
    service: 'monitoring',
    context: 'monitoring',
    things: {
      monitor: {
        async make({ monitoring, parent }) {
          const name = `${parent}/monitors/m`;
          const deployment = `${parent}/deployments/d`;
          await monitoring.applyMonitor({ monitor: { name, deployment, window: { length: hour } } });
          return name;
        },
        delete: ({ monitoring }, name, requestId) => monitoring.deleteMonitor({ name, requestId }),
      },
    },
  },
];

/** Deletes a thing in a process that is killed before it stores its answer, and asks again under a request id. */
async function deleteTwice(
  { service, context, things }: Owner,
  chance: Chance,
  again: string,
): Promise<Outcome> {
  const what = chance.pick(Object.keys(things));
  const thing = things[what]!;
  await using running = await startService(service, {
    env: { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' },
    race: { point: 'service.before-answer', signal: 'kill' },
  });
  const open = () =>
    connect({
      endpoints: { services: { [context]: running.address } },
      project: 'default',
      deadlineMs: 60_000,
    });
  const first = open();
  const name = await thing.make(first);
  const cut = thing.delete(first, name, 'once').catch(() => {});
  await running.reached;
  // It would ask again by itself.
  first.close();
  await running.kill9();
  await running.restart();
  await cut;
  const second = open();
  try {
    const answer = await thing.delete(second, name, again).then(
      () => undefined,
      (error: unknown) => error,
    );
    const { type, times } = thing.told ?? { type: `${what}.deleted`, times: 1 };
    const events = (await readRecord(second, context, [`millrace.${context}.${type}.v1`])).length;
    const breaches = events < times ? [`${events} events of ${type}, not ${times}`] : [];
    if (answer && !isCoded(answer, 'NOT_FOUND')) breaches.push(`${service} ${what}: ${String(answer)}`);
    return { checked: 1, lost: answer ? 1 : 0, doubled: Math.max(0, events - times), breaches };
  } finally {
    second.close();
    // In order it would wait for NATS first.
    await running.kill9();
  }
}

/** Three of the services, others with other seeds. */
async function deleteInSome(chance: Chance): Promise<Outcome> {
  const left = [...owners];
  const some = [1, 2, 3].map(() => left.splice(chance.between(0, left.length - 1), 1)[0]!);
  const outcomes: Outcome[] = [];
  for (const owner of some) outcomes.push(await deleteTwice(owner, chance, 'once'));
  return together(outcomes);
}

export const scenario: Scenario = {
  number: 42,
  name: 'kill -9 between a deletion and its stored answer, in three services',
  invariant: 'asked again, the deletion is answered; it is done and told of once',
  run: deleteInSome,
  // Who asks under another request id is told that nothing is there.
  control: (chance) => deleteTwice(chance.pick(owners), chance, 'another'),
};
