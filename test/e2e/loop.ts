import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { monitoringEvents } from '@millrace/contracts';
import { ColumnType } from '@millrace/contracts/common';
import { AggregationFunction, JobState, SourceFormat } from '@millrace/contracts/features';
import { AlertState, Comparison, DriftMethod } from '@millrace/contracts/monitoring';
import { OutputKind, ParameterType, PipelineRunState } from '@millrace/contracts/pipelines';
import { LoggingMode } from '@millrace/contracts/serving';
import { infer, type Millrace, toBatch } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { expect } from 'vitest';
import { linear, loaded, register } from './models.ts';

const hourMs = 3_600_000;
const startMs = Date.UTC(2001, 5, 4);
const rowsAWindow = 60;

/** Rows for the source: a reading of each of two machines every minute of the day before. */
export const readings = Array.from({ length: 240 }, (_, i) => {
  const seen = new Date(startMs - (240 - i) * 60_000).toISOString();
  return JSON.stringify({ machine: i % 2 ? 'lathe' : 'drill', seen, heat: 20 + (i % 5) });
}).join('\n');

/**
 * The whole way round, small: rows of a file become features, more rows are pushed, a deployed model is asked with looked-up features, its
 * log is watched, pushed heat drifts, the alarm's event fires a trigger, and the pipeline it starts ends with what the alarm said.
 */
export async function closesTheLoop(millrace: Millrace, sourceFile: string): Promise<void> {
  await makeFeatures(millrace, sourceFile);
  const deployment = await deploy(millrace);
  await watch(millrace, deployment);
  await react(millrace);

  const { monitoring, pipelineRuns, parent } = millrace;
  for (const [hour, heat] of [22, 22, 80, 80, 80].entries()) await live(millrace, hour, heat);
  const alert = await until(
    async () => {
      const { alerts } = await monitoring.listAlerts({ parent: `${parent}/monitors/heat` });
      return alerts.find(({ state }) => state === AlertState.RAISED);
    },
    { what: 'the alarm' },
  );
  expect(alert).toMatchObject({ rule: 'drift', windowEnd: timestampFromMs(startMs + 4 * hourMs) });
  const pipeline = `${parent}/pipelines/answer`;
  const run = await until(
    async () => {
      const { pipelineRuns: runs } = await pipelineRuns.listPipelineRuns({ parent, pipeline });
      return runs.find(({ state }) => state === PipelineRunState.SUCCEEDED);
    },
    { what: 'the run that the alarm starts', timeoutMs: 30_000 },
  );
  const { tasks } = await pipelineRuns.listTasks({ parent: run.name });
  const said = tasks.find(({ step }) => step === 'repeat')?.outputs[0];
  expect(said?.kind).toMatchObject({ case: 'value', value: { kind: { value: `drift at ${alert.name}` } } });
  const { pipelineRuns: all } = await pipelineRuns.listPipelineRuns({ parent, pipeline });
  expect(all).toHaveLength(1);
}

async function makeFeatures({ features, parent }: Millrace, path: string): Promise<void> {
  const source = `${parent}/sources/readings`;
  const [entity, view] = [`${parent}/entities/machine`, `${parent}/featureViews/heat`];
  await features.applySource({
    source: { name: source, location: { case: 'path', value: path }, format: SourceFormat.JSON_LINES },
  });
  await features.applyEntity({
    entity: { name: entity, joinKeys: [{ name: 'machine', type: ColumnType.STRING }] },
  });
  await features.applyFeatureView({
    featureView: {
      name: view,
      entities: [entity],
      source,
      sql: 'SELECT machine, seen::TIMESTAMP AS seen, heat::DOUBLE AS heat FROM source',
      timestampColumn: 'seen',
      aggregations: [
        {
          name: 'mean_10m',
          function: AggregationFunction.MEAN,
          column: 'heat',
          window: durationFromMs(600_000),
        },
      ],
    },
  });
  const { materialization } = await features.createMaterialization({ parent, materialization: { view } });
  const name = materialization?.name ?? '';
  await until(
    async () =>
      (await features.getMaterialization({ name })).materialization?.state === JobState.SUCCEEDED ||
      undefined,
    { what: 'the materialization' },
  );
}

async function deploy(millrace: Millrace): Promise<string> {
  const { registry, deployments, parent } = millrace;
  const model = `${parent}/models/heat`;
  await registry.createModel({ parent, modelId: 'heat', model: {} });
  await register(millrace, model, linear([0.01, 1]));
  await deployments.createDeployment({
    parent,
    deploymentId: 'heat',
    deployment: {
      targets: [{ model, selector: { case: 'version', value: 1 }, weight: 1 }],
      featureLookup: {
        entityKeys: [{ key: 'machine' }],
        inputs: [
          {
            input: 'x',
            columns: [
              { source: { case: 'feature', value: 'heat:mean_10m' }, name: 'heat' },
              { source: { case: 'requestInput', value: 'load' }, name: 'load' },
            ],
          },
        ],
        eventTimeInput: 'at',
      },
      logging: { mode: LoggingMode.WHOLE, tensorColumns: [{ tensor: 'y', columns: ['wear'] }] },
    },
  });
  const name = `${parent}/deployments/heat`;
  await loaded(millrace, name, 1);
  return name;
}

async function watch({ monitoring, parent }: Millrace, deployment: string): Promise<void> {
  const heat = Array.from({ length: 500 }, (_, i) => 20 + (i % 50) / 10);
  const { baseline } = await monitoring.createBaseline({
    parent,
    rows: { case: 'batch', value: toBatch({ heat: { type: 'double', values: heat } }) },
  });
  await monitoring.applyMonitor({
    monitor: {
      name: `${parent}/monitors/heat`,
      deployment,
      baseline: baseline?.name ?? '',
      window: { length: durationFromMs(hourMs), minRows: 20 },
      drift: { method: DriftMethod.WASSERSTEIN, threshold: 2, share: 0.5 },
      alertRules: [
        {
          id: 'drift',
          metric: 'drift.share',
          comparison: Comparison.GREATER_OR_EQUAL,
          threshold: 0.5,
          raiseAfter: 2,
        },
      ],
    },
  });
}

/** A pipeline that repeats what it was told, and the trigger that starts it. */
async function react({ pipelines, triggers, parent }: Millrace): Promise<void> {
  const program =
    "require('node:fs').writeFileSync(process.env.MILLRACE_OUTPUTS + '/said', process.argv[1] + ' at ' + process.argv[2])";
  await pipelines.applyPipeline({
    pipeline: {
      name: `${parent}/pipelines/answer`,
      spec: {
        parameters: ['rule', 'alert'].map((name) => ({ name, type: ParameterType.STRING })),
        steps: [
          {
            name: 'repeat',
            action: {
              case: 'command',
              value: {
                argv: ['node', '-e', program, '${params.rule}', '${params.alert}'],
                outputs: [{ name: 'said', kind: OutputKind.TEXT }],
              },
            },
          },
        ],
      },
    },
  });
  await triggers.applyTrigger({
    trigger: {
      name: `${parent}/triggers/answer`,
      pipeline: `${parent}/pipelines/answer`,
      eventType: monitoringEvents.alertRaised.type,
      condition: 'event.data.alert.rule == "drift"',
      parameters: [
        { name: 'rule', source: { case: 'expression', value: 'event.data.alert.rule' } },
        { name: 'alert', source: { case: 'expression', value: 'event.data.alert.name' } },
      ],
    },
  });
}

/** An hour of the machines: their heat is pushed before anyone asks about it. */
async function live(millrace: Millrace, hour: number, heat: number): Promise<void> {
  const fromMs = startMs + hour * hourMs;
  const machines = ['drill', 'lathe'];
  for (let minute = 0; minute < 60; minute += 10) {
    const seen = machines.map(() => fromMs + minute * 60_000);
    const rows = toBatch({
      machine: { type: 'string', values: machines },
      seen: { type: 'timestamp', values: seen },
      heat: { type: 'double', values: machines.map((_, i) => heat + i) },
    });
    await millrace.features.pushRows({ view: `${millrace.parent}/featureViews/heat`, rows });
    const asked = Array.from({ length: rowsAWindow / 6 }, (_, i) =>
      BigInt(fromMs + minute * 60_000 + 1000 + i),
    );
    const machine = asked.map((_, i) => machines[i % 2] ?? '');
    const answer = await infer(millrace, `${millrace.project}/heat`, [
      { name: 'machine', type: 'BYTES', values: machine },
      { name: 'load', type: 'FP32', values: asked.map(() => 1) },
      { name: 'at', type: 'INT64', values: asked },
    ]);
    const first = answer.floats('y')[0] ?? Number.NaN;
    expect(first, `wear at hour ${hour}, minute ${minute}`).toBeCloseTo(1 + heat / 100, 1);
  }
}
