import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { ColumnType } from '@millrace/contracts/common';
import { AggregationFunction, SourceFormat } from '@millrace/contracts/features';
import { Comparison, Correction, DriftMethod, Severity, Task } from '@millrace/contracts/monitoring';
import { LoggingMode } from '@millrace/contracts/serving';
import type { Millrace } from '@millrace/sdk';
import { featureNames, flightsSql, ownColumns, parquet, views, windowed } from './data.ts';

/** The names of what the example makes. */
export function resourceNames(project: string) {
  return {
    source: names.source.format({ project, source: 'flights' }),
    model: names.model.format({ project, model: 'late-flights' }),
    deployment: names.deployment.format({ project, deployment: 'late-flights' }),
    board: names.deployment.format({ project, deployment: 'departure-board' }),
    pipeline: names.pipeline.format({ project, pipeline: 'train-late-flights' }),
    trigger: names.trigger.format({ project, trigger: 'retrain-on-drift' }),
    monitor: names.monitor.format({ project, monitor: 'late-flights' }),
  };
}

const functions = { count: AggregationFunction.COUNT, mean: AggregationFunction.MEAN };
const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** Entities, the source and the views. The views hold what had landed before the service went live; later rows are pushed. */
export async function applyFeatures({ features, project }: Millrace, liveMs: number): Promise<void> {
  const { source } = resourceNames(project);
  await features.applySource({
    source: {
      name: source,
      location: { case: 'path', value: parquet },
      format: SourceFormat.PARQUET,
      description: 'US domestic flights, January to June 2001, Bureau of Transportation Statistics',
    },
  });
  for (const [view, key] of Object.entries(views)) {
    const entity = names.entity.format({ project, entity: key });
    await features.applyEntity({
      entity: { name: entity, joinKeys: [{ name: key, type: ColumnType.STRING }] },
    });
    await features.applyFeatureView({
      featureView: {
        name: names.featureView.format({ project, view }),
        entities: [entity],
        source,
        sql: `SELECT ${key}, landed_at, delay, CAST(late AS INTEGER)::DOUBLE AS late_number FROM (${flightsSql}) WHERE landed_at < TIMESTAMP '${sqlTime(liveMs)}'`,
        timestampColumn: 'landed_at',
        aggregations: windowed.map(({ name, function: fn, column, seconds }) => ({
          name,
          function: functions[fn],
          column,
          window: durationFromMs(seconds * 1000),
        })),
      },
    });
  }
}

/** A time as DuckDB writes it, in UTC. */
export function sqlTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
}

/** The model and its gate: a new version must be better than the one that answers now, on the same recent flights. */
export async function createModel({ registry, parent, project }: Millrace): Promise<void> {
  const { model } = resourceNames(project);
  const description = 'Will a flight be more than 15 minutes late?';
  await registry.createModel({
    parent,
    modelId: 'late-flights',
    model: { description },
    requestId: 'create-late-flights',
  });
  await registry.createGate({
    parent: model,
    gateId: 'better-than-champion',
    gate: {
      alias: 'champion',
      expression:
        'candidate.metrics.auc > 0.6 && (!has_champion || (candidate.metrics.auc > champion.metrics.auc && candidate.metrics.log_loss < champion.metrics.log_loss))',
      allowFirst: true,
      description:
        'Better in ranking and in probabilities than the version that answers now, on the same flights.',
    },
    requestId: 'create-gate',
  });
}

/** Two deployments that follow the champion: one is logged and watched, one feeds a departure board. */
export async function createDeployments({ deployments, parent, project }: Millrace): Promise<void> {
  const { model } = resourceNames(project);
  const columns = [
    ...ownColumns.map((name) => ({ source: { case: 'requestInput', value: name } as const, name })),
    ...featureNames.slice(ownColumns.length).map((name) => ({
      source: { case: 'feature', value: name.replace('__', ':') } as const,
      name,
    })),
  ];
  const shared = {
    targets: [{ model, selector: { case: 'alias', value: 'champion' } as const, weight: 1 }],
    featureLookup: {
      entityKeys: Object.values(views).map((key) => ({ key })),
      inputs: [{ input: 'features', columns }],
      eventTimeInput: 'asked_at',
    },
  };
  const logged = {
    mode: LoggingMode.WHOLE,
    tensorColumns: [{ tensor: 'probability', columns: ['probability'] }],
  };
  for (const [deploymentId, logging] of [
    ['late-flights', logged],
    ['departure-board', { mode: LoggingMode.OFF }],
  ] as const) {
    await deployments.createDeployment({
      parent,
      deploymentId,
      deployment: { ...shared, logging },
      requestId: `deploy-${deploymentId}`,
    });
  }
}

/**
 * The monitor: one report a day; half a standard deviation is drift of a column, half of the columns drift of the data,
 * and two such days in a row an alarm.
 */
export async function applyMonitor(
  { monitoring, project }: Millrace,
  baseline: string,
  requestId: string,
): Promise<void> {
  const { monitor, deployment } = resourceNames(project);
  const days = { comparison: Comparison.GREATER_OR_EQUAL, raiseAfter: 2, resolveAfter: 2 };
  await monitoring.applyMonitor({
    monitor: {
      name: monitor,
      deployment,
      baseline,
      window: { length: durationFromMs(dayMs), labelDelay: durationFromMs(dayMs / 2), minRows: 500 },
      drift: {
        columns: featureNames.filter((name) => name.includes('__')),
        method: DriftMethod.WASSERSTEIN,
        threshold: 0.5,
        share: 0.5,
        correction: Correction.NONE,
      },
      prediction: { task: Task.BINARY_CLASSIFICATION, column: 'probability' },
      alertRules: [
        {
          id: 'drift',
          metric: 'drift.share',
          threshold: 0.5,
          resolveThreshold: 0.25,
          severity: Severity.CRITICAL,
          ...days,
        },
        {
          id: 'log-loss',
          metric: 'performance.log_loss.change',
          threshold: 0.25,
          resolveThreshold: 0.15,
          ...days,
        },
      ],
    },
    requestId,
  });
}
