import type { Json } from './json.ts';

/** What a pipeline does, with every default filled in. Durations are in milliseconds. */
export interface PipelineSpec {
  readonly parameters: readonly ParameterSpec[];
  readonly steps: readonly Step[];
  readonly exitSteps: readonly Step[];
  readonly failurePolicy: 'fail_fast' | 'continue';
  readonly maxParallel: number;
  /** 0: no limit. */
  readonly maxConcurrentRuns: number;
  readonly timeoutMs?: number;
}

export type ParameterType = 'string' | 'int' | 'double' | 'bool' | 'list' | 'json';

export interface ParameterSpec {
  readonly name: string;
  readonly type: ParameterType;
  readonly defaultValue?: Json;
  readonly description: string;
}

export interface Step {
  readonly name: string;
  readonly action: Action;
  readonly dependsOn: readonly string[];
  /** A CEL condition; empty means true. */
  readonly when: string;
  readonly forEach?: ForEach;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly resources: Resources;
  readonly cache?: { readonly version: string; readonly maxAgeMs?: number };
  readonly allowFailure: boolean;
  readonly description: string;
}

/** What a step does. Further kinds (a nested pipeline, a Kubernetes Job of its own shape) are further members. */
type Action = CommandAction;

export interface CommandAction {
  readonly kind: 'command';
  readonly argv: readonly string[];
  readonly env: readonly EnvVar[];
  readonly files: readonly WorkingFile[];
  readonly inputs: readonly Input[];
  readonly outputs: readonly Output[];
  readonly stopGraceMs: number;
}

interface EnvVar {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
}

interface WorkingFile {
  readonly path: string;
  readonly digest: string;
  readonly executable: boolean;
}

interface Input {
  readonly name: string;
  readonly from: string;
  readonly optional: boolean;
}

export interface Output {
  readonly name: string;
  readonly kind: 'artifact' | 'text' | 'json';
  /** Relative to the outputs folder. */
  readonly path: string;
  readonly optional: boolean;
  readonly artifactType: string;
}

/** Either the items themselves or a template that gives a list. */
export interface ForEach {
  readonly items?: readonly Json[];
  readonly template?: string;
  /** 0: the run's limit. */
  readonly maxParallel: number;
  readonly toleratedFailures: number;
}

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly factor: number;
  readonly maxBackoffMs: number;
  readonly jitter: number;
  readonly nonRetryableExitCodes: readonly number[];
}

export interface Resources {
  readonly cpu: number;
  readonly memoryBytes: number;
}

/** The values that stand for what a specification leaves out. */
export const defaults = {
  maxParallel: 1000,
  timeoutMs: 24 * 3_600_000,
  stopGraceMs: 5000,
  cpu: 0.1,
  retry: { maxAttempts: 1, initialBackoffMs: 1000, factor: 2, maxBackoffMs: 300_000, jitter: 0.1 },
} as const;

/** The limits of a specification, beyond those the contract states field by field. */
export const limits = {
  filesBytes: 1 << 20,
  parameterBytes: 64 << 10,
  specBytes: 2 << 20,
  fanOutItems: 100_000,
  fanOutBytes: 4 << 20,
  textOutputBytes: 64 << 10,
  jsonOutputBytes: 256 << 10,
  /** All text and JSON outputs of a task together. */
  outputBytes: 2 << 20,
} as const;
