import {
  FailurePolicy,
  type PipelineSpec as Message,
  OutputKind,
  ParameterType,
  type Step as StepMessage,
} from '@millrace/contracts/pipelines';
import { invalidField } from '@millrace/errors';
import type { CommandAction, ForEach, PipelineSpec, RetryPolicy, Step } from '../domain/spec.ts';
import { defaults, limits } from '../domain/spec.ts';
import { jsonOf, msOf } from './value.ts';

/** Stores the bytes of a working file and answers their digest, or checks that a digest is there. */
export type KeepFile = (file: { content: Uint8Array; digest: string }, field: string) => Promise<string>;

const parameterTypes = {
  [ParameterType.STRING]: 'string',
  [ParameterType.INT]: 'int',
  [ParameterType.DOUBLE]: 'double',
  [ParameterType.BOOL]: 'bool',
  [ParameterType.LIST]: 'list',
  [ParameterType.JSON]: 'json',
} as const;

/** The specification of a message, with defaults filled in. INVALID_FIELD for what the contract's rules cannot say. */
export async function specOf(message: Message, path: string, keep: KeepFile): Promise<PipelineSpec> {
  const room = { bytes: limits.filesBytes };
  const steps: Step[] = [];
  for (const [i, step] of message.steps.entries())
    steps.push(await stepOf(step, `${path}.steps[${i}]`, keep, room));
  const exitSteps: Step[] = [];
  for (const [i, step] of message.exitSteps.entries())
    exitSteps.push(await stepOf(step, `${path}.exit_steps[${i}]`, keep, room));
  const timeoutMs = message.timeout && msOf(message.timeout, 0, `${path}.timeout`, 1);
  return {
    parameters: message.parameters.map(({ name, type, defaultValue, description }, i) => ({
      name,
      type: parameterTypes[type as keyof typeof parameterTypes],
      description,
      ...(defaultValue
        ? { defaultValue: jsonOf(defaultValue, `${path}.parameters[${i}].default_value`) }
        : {}),
    })),
    steps,
    exitSteps,
    failurePolicy: message.failurePolicy === FailurePolicy.CONTINUE ? 'continue' : 'fail_fast',
    maxParallel: message.maxParallel || defaults.maxParallel,
    maxConcurrentRuns: message.maxConcurrentRuns,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

async function stepOf(
  message: StepMessage,
  path: string,
  keep: KeepFile,
  room: { bytes: number },
): Promise<Step> {
  const { name, action, dependsOn, when, allowFailure, description } = message;
  if (action.case !== 'command') throw invalidField(path, 'the step has no action', 'command');
  const forEach = forEachOf(message, path);
  const cache = message.cache;
  const maxAgeMs = cache?.maxAge && msOf(cache.maxAge, 0, `${path}.cache.max_age`);
  return {
    name,
    action: await commandOf(action.value, `${path}.command`, keep, room),
    dependsOn,
    when,
    ...(forEach ? { forEach } : {}),
    retry: retryOf(message, path),
    timeoutMs: msOf(message.timeout, defaults.timeoutMs, `${path}.timeout`, 1),
    resources: {
      cpu: message.resources?.cpu || defaults.cpu,
      memoryBytes: Number(message.resources?.memoryBytes ?? 0n),
    },
    ...(cache
      ? { cache: { version: cache.cacheVersion, ...(maxAgeMs === undefined ? {} : { maxAgeMs }) } }
      : {}),
    allowFailure,
    description,
  };
}

type CommandMessage = Extract<StepMessage['action'], { case: 'command' }>['value'];

async function commandOf(
  message: CommandMessage,
  path: string,
  keep: KeepFile,
  room: { bytes: number },
): Promise<CommandAction> {
  const files: { path: string; digest: string; executable: boolean }[] = [];
  for (const [i, file] of message.files.entries()) {
    const field = `${path}.files[${i}]`;
    room.bytes -= file.content.length;
    if (room.bytes < 0)
      throw invalidField(
        `${field}.content`,
        `the files together are larger than ${limits.filesBytes} bytes`,
        'at most that',
      );
    files.push({ path: file.path, digest: await keep(file, field), executable: file.executable });
  }
  return {
    kind: 'command',
    argv: message.argv,
    env: message.env.map(({ name, value, secret }) => ({ name, value, secret })),
    files,
    inputs: message.inputs.map(({ name, from, optional }) => ({ name, from, optional })),
    outputs: message.outputs.map(({ name, kind, path: file, optional, artifactType }) => ({
      name,
      kind: kind === OutputKind.ARTIFACT ? 'artifact' : kind === OutputKind.TEXT ? 'text' : 'json',
      path: file || name,
      optional,
      artifactType,
    })),
    stopGraceMs: msOf(message.stopGrace, defaults.stopGraceMs, `${path}.stop_grace`),
  };
}

function forEachOf({ forEach }: StepMessage, path: string): ForEach | undefined {
  if (!forEach) return undefined;
  const { source, maxParallel, toleratedFailures } = forEach;
  const limit = { maxParallel, toleratedFailures };
  if (source.case === 'template') return { ...limit, template: source.value };
  if (source.case !== 'items') return limit;
  return {
    ...limit,
    items: source.value.values.map((value, i) => jsonOf(value, `${path}.for_each.items[${i}]`)),
  };
}

function retryOf({ retry }: StepMessage, path: string): RetryPolicy {
  if (!retry) return { ...defaults.retry, nonRetryableExitCodes: [] };
  return {
    maxAttempts: retry.maxAttempts || defaults.retry.maxAttempts,
    initialBackoffMs: msOf(
      retry.initialBackoff,
      defaults.retry.initialBackoffMs,
      `${path}.retry.initial_backoff`,
    ),
    factor: retry.factor || defaults.retry.factor,
    maxBackoffMs: msOf(retry.maxBackoff, defaults.retry.maxBackoffMs, `${path}.retry.max_backoff`),
    jitter: retry.jitter ?? defaults.retry.jitter,
    nonRetryableExitCodes: retry.nonRetryableExitCodes,
  };
}
