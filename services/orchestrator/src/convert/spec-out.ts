import { names } from '@millrace/contracts';
import {
  FailurePolicy,
  OutputKind,
  ParameterType,
  type PipelineSchema,
  type PipelineSpecSchema,
  type PipelineVersionSchema,
  type StepSchema,
} from '@millrace/contracts/pipelines';
import type { Pipeline } from '../domain/pipeline.ts';
import type { PipelineSpec, Step, ParameterType as Type } from '../domain/spec.ts';
import { durationOf, type Init, time, toValue } from './value.ts';

const parameterTypes: Readonly<Record<Type, ParameterType>> = {
  string: ParameterType.STRING,
  int: ParameterType.INT,
  double: ParameterType.DOUBLE,
  bool: ParameterType.BOOL,
  list: ParameterType.LIST,
  json: ParameterType.JSON,
};
const outputKinds = { artifact: OutputKind.ARTIFACT, text: OutputKind.TEXT, json: OutputKind.JSON } as const;

export function pipelineMessage(pipeline: Pipeline, etag: number): Init<typeof PipelineSchema> {
  const { project, name, description, version, specDigest, spec } = pipeline;
  return {
    name: names.pipeline.format({ project, pipeline: name }),
    description,
    spec: specMessage(spec),
    version,
    specDigest,
    etag: String(etag),
    ...time('createTime', pipeline.createdAtMs),
    ...time('updateTime', pipeline.updatedAtMs),
  };
}

export function versionMessage(pipeline: Pipeline): Init<typeof PipelineVersionSchema> {
  const { project, name, version, specDigest, spec } = pipeline;
  return {
    name: names.pipelineVersion.format({ project, pipeline: name, version: String(version) }),
    version,
    spec: specMessage(spec),
    specDigest,
    ...time('createTime', pipeline.updatedAtMs),
  };
}

function specMessage(spec: PipelineSpec): Init<typeof PipelineSpecSchema> {
  return {
    parameters: spec.parameters.map(({ name, type, defaultValue, description }) => ({
      name,
      type: parameterTypes[type],
      description,
      ...(defaultValue === undefined ? {} : { defaultValue: toValue(defaultValue) }),
    })),
    steps: spec.steps.map(stepMessage),
    exitSteps: spec.exitSteps.map(stepMessage),
    failurePolicy: spec.failurePolicy === 'continue' ? FailurePolicy.CONTINUE : FailurePolicy.FAIL_FAST,
    maxParallel: spec.maxParallel,
    maxConcurrentRuns: spec.maxConcurrentRuns,
    ...(spec.timeoutMs === undefined ? {} : { timeout: durationOf(spec.timeoutMs) }),
  };
}

function stepMessage(step: Step): Init<typeof StepSchema> {
  const { action, forEach, retry, cache, resources } = step;
  return {
    name: step.name,
    description: step.description,
    dependsOn: [...step.dependsOn],
    when: step.when,
    allowFailure: step.allowFailure,
    timeout: durationOf(step.timeoutMs),
    resources: { cpu: resources.cpu, memoryBytes: BigInt(resources.memoryBytes) },
    retry: {
      maxAttempts: retry.maxAttempts,
      initialBackoff: durationOf(retry.initialBackoffMs),
      factor: retry.factor,
      maxBackoff: durationOf(retry.maxBackoffMs),
      jitter: retry.jitter,
      nonRetryableExitCodes: [...retry.nonRetryableExitCodes],
    },
    action: {
      case: 'command',
      value: {
        argv: [...action.argv],
        // A secret is never shown again.
        env: action.env.map(({ name, value, secret }) => ({ name, secret, value: secret ? '' : value })),
        files: action.files.map(({ path, digest, executable }) => ({ path, digest, executable })),
        inputs: action.inputs.map(({ name, from, optional }) => ({ name, from, optional })),
        outputs: action.outputs.map(({ name, kind, path, optional, artifactType }) => ({
          name,
          kind: outputKinds[kind],
          path,
          optional,
          artifactType,
        })),
        stopGrace: durationOf(action.stopGraceMs),
      },
    },
    ...(forEach
      ? {
          forEach: {
            maxParallel: forEach.maxParallel,
            toleratedFailures: forEach.toleratedFailures,
            source:
              forEach.template === undefined
                ? { case: 'items' as const, value: { values: (forEach.items ?? []).map(toValue) } }
                : { case: 'template' as const, value: forEach.template },
          },
        }
      : {}),
    ...(cache
      ? {
          cache: {
            cacheVersion: cache.version,
            ...(cache.maxAgeMs === undefined ? {} : { maxAge: durationOf(cache.maxAgeMs) }),
          },
        }
      : {}),
  };
}
