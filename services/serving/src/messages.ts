/** A deployment as a message, and back. */
import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { type Value, ValueSchema } from '@millrace/contracts/common';
import {
  type Deployment as DeploymentMessage,
  DeploymentSchema,
  type InferenceLogging,
  LoggingMode,
  LookupFailure,
  TargetState,
} from '@millrace/contracts/serving';
import type { ColumnValue } from './domain/columns.ts';
import type { Deployment, DeploymentSpec, LoggingSpec, TargetState as State } from './domain/deployment.ts';
import type { LookupSpec } from './domain/lookup.ts';

const states: Readonly<Record<State, TargetState>> = {
  loading: TargetState.LOADING,
  ready: TargetState.READY,
  failed: TargetState.FAILED,
  unloaded: TargetState.UNLOADED,
};

const modes: Readonly<Record<LoggingSpec['mode'], LoggingMode>> = {
  off: LoggingMode.OFF,
  sampled: LoggingMode.SAMPLED,
  whole: LoggingMode.WHOLE,
};

/** A stored deployment as callers see it. */
export function deploymentMessage(stored: {
  readonly doc: Deployment;
  readonly version: number;
  readonly createdAtMs: number | undefined;
  readonly updatedAtMs: number;
}): DeploymentMessage {
  const { doc, version, createdAtMs, updatedAtMs } = stored;
  const { spec } = doc;
  return create(DeploymentSchema, {
    name: names.deployment.format({ project: doc.project, deployment: doc.id }),
    description: spec.description,
    targets: spec.targets.map(({ model, alias, version: pinned, weight, shadow }) => ({
      model,
      weight,
      shadow,
      selector: alias
        ? { case: 'alias' as const, value: alias }
        : { case: 'version' as const, value: pinned },
    })),
    ...(spec.lookup ? { featureLookup: lookupMessage(spec.lookup) } : {}),
    batching: {
      maxRows: spec.batching.maxRows,
      maxDelay: durationFromMs(spec.batching.maxDelayMs),
      maxQueueRows: spec.batching.maxQueueRows,
    },
    instances: spec.instances,
    logging: {
      mode: modes[spec.logging.mode],
      sampleRate: spec.logging.sampleRate,
      tensorColumns: spec.logging.tensorColumns.map(({ tensor, columns }) => ({
        tensor,
        columns: [...columns],
      })),
    },
    tags: spec.tags.map((tag) => ({ ...tag })),
    targetStatuses: doc.statuses.map((status) => ({
      wantedVersion: status.wantedVersion,
      loadedVersion: status.loadedVersion,
      state: states[status.state],
      reason: status.reason,
      changeTime: timestampFromMs(status.changedAtMs),
      digest: status.digest,
      memoryBytes: BigInt(Math.round(status.memoryBytes)),
    })),
    unloaded: doc.unloaded,
    etag: String(version),
    ...(createdAtMs === undefined ? {} : { createTime: timestampFromMs(createdAtMs) }),
    updateTime: timestampFromMs(updatedAtMs),
  });
}

/** The fields of a spec that an update may name. */
export const specFields = [
  'description',
  'targets',
  'feature_lookup',
  'batching',
  'instances',
  'logging',
  'tags',
] as const;
export type SpecField = (typeof specFields)[number];

/** What a caller's message says of a deployment. */
export function specOf(message: DeploymentMessage): DeploymentSpec {
  const { batching, logging, featureLookup } = message;
  return {
    description: message.description,
    targets: message.targets.map(({ model, weight, shadow, selector }) => ({
      model,
      alias: selector.case === 'alias' ? selector.value : '',
      version: selector.case === 'version' ? selector.value : 0,
      weight,
      shadow,
    })),
    lookup: featureLookup
      ? {
          entityKeys: featureLookup.entityKeys.map(({ key, input }) => ({ key, input })),
          inputs: featureLookup.inputs.map(({ input, columns }) => ({
            input,
            columns: columns.map(({ source, name, defaultValue }) => ({
              feature: source.case === 'feature' ? source.value : '',
              requestInput: source.case === 'requestInput' ? source.value : '',
              name,
              defaultValue: columnValue(defaultValue),
            })),
          })),
          onFailure: featureLookup.onFailure === LookupFailure.USE_DEFAULTS ? 'use-defaults' : 'refuse',
          eventTimeInput: featureLookup.eventTimeInput,
        }
      : null,
    batching: {
      maxRows: batching?.maxRows ?? 0,
      maxDelayMs: batching?.maxDelay ? durationMs(batching.maxDelay) : 0,
      maxQueueRows: batching?.maxQueueRows ?? 0,
    },
    instances: message.instances,
    logging: loggingOf(logging),
    tags: message.tags.map(({ key, value }) => ({ key, value })),
  };
}

/** The spec after an update of these fields. */
export function mergeSpec(
  before: DeploymentSpec,
  update: DeploymentSpec,
  fields: readonly SpecField[],
): DeploymentSpec {
  const keys: Readonly<Record<SpecField, keyof DeploymentSpec>> = {
    description: 'description',
    targets: 'targets',
    feature_lookup: 'lookup',
    batching: 'batching',
    instances: 'instances',
    logging: 'logging',
    tags: 'tags',
  };
  const chosen = fields.map((field) => [keys[field], update[keys[field]]]);
  return { ...before, ...(Object.fromEntries(chosen) as Partial<DeploymentSpec>) };
}

function loggingOf(logging: InferenceLogging | undefined): LoggingSpec {
  const mode =
    logging?.mode === LoggingMode.OFF ? 'off' : logging?.mode === LoggingMode.SAMPLED ? 'sampled' : 'whole';
  const tensorColumns = (logging?.tensorColumns ?? []).map(({ tensor, columns }) => ({ tensor, columns }));
  return { mode, sampleRate: logging?.sampleRate ?? 0, tensorColumns };
}

function lookupMessage(lookup: LookupSpec) {
  return {
    entityKeys: lookup.entityKeys.map((key) => ({ ...key })),
    inputs: lookup.inputs.map(({ input, columns }) => ({
      input,
      columns: columns.map(({ feature, requestInput, name, defaultValue }) => ({
        source: feature
          ? ({ case: 'feature', value: feature } as const)
          : ({ case: 'requestInput', value: requestInput } as const),
        name,
        ...(defaultValue === null ? {} : { defaultValue: valueMessage(defaultValue) }),
      })),
    })),
    onFailure: lookup.onFailure === 'use-defaults' ? LookupFailure.USE_DEFAULTS : LookupFailure.REFUSE,
    eventTimeInput: lookup.eventTimeInput,
  };
}

function columnValue(value: Value | undefined): ColumnValue {
  const kind = value?.kind;
  switch (kind?.case) {
    case 'boolValue':
    case 'int64Value':
    case 'doubleValue':
    case 'stringValue':
      return kind.value;
    default:
      return null;
  }
}

function valueMessage(value: Exclude<ColumnValue, null>): Value {
  switch (typeof value) {
    case 'boolean':
      return create(ValueSchema, { kind: { case: 'boolValue', value } });
    case 'bigint':
      return create(ValueSchema, { kind: { case: 'int64Value', value } });
    case 'string':
      return create(ValueSchema, { kind: { case: 'stringValue', value } });
    default:
      return create(ValueSchema, { kind: { case: 'doubleValue', value } });
  }
}
