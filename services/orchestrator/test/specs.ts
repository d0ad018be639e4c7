import { defaults, type PipelineSpec, type Step } from '../src/domain/spec.ts';

/** A step of a command, with what a test leaves out filled in. */
export function step(
  name: string,
  argv: readonly string[] = ['true'],
  rest: Partial<Step> & { command?: Partial<Step['action']> } = {},
): Step {
  const { command, ...others } = rest;
  return {
    name,
    action: {
      kind: 'command',
      argv,
      env: [],
      files: [],
      inputs: [],
      outputs: [],
      stopGraceMs: 500,
      ...command,
    },
    dependsOn: [],
    when: '',
    retry: { ...defaults.retry, nonRetryableExitCodes: [] },
    timeoutMs: 60_000,
    resources: { cpu: 0.1, memoryBytes: 0 },
    allowFailure: false,
    description: '',
    ...others,
  };
}

/** A specification of these steps. */
export function spec(steps: readonly Step[], rest: Partial<PipelineSpec> = {}): PipelineSpec {
  return {
    parameters: [],
    steps,
    exitSteps: [],
    failurePolicy: 'fail_fast',
    maxParallel: defaults.maxParallel,
    maxConcurrentRuns: 0,
    ...rest,
  };
}

/** An output declared as a JSON value or an artifact. */
export const output = (name: string, kind: 'artifact' | 'text' | 'json' = 'json') => ({
  name,
  kind,
  path: name,
  optional: false,
  artifactType: '',
});
