import type { Chance } from '@millrace/testing';
import type { PipelineSpec, Step } from '../../src/domain/spec.ts';
import { output, spec, step } from '../specs.ts';

/** A pipeline of one to six steps in any shape: fan-outs, conditions, retries, timeouts, caching, exit steps. */
export function randomSpec(chance: Chance): PipelineSpec {
  const steps: Step[] = [];
  for (let i = 0; i < chance.between(1, 6); i++) steps.push(randomStep(chance, `s${i}`, steps));
  const exitSteps: Step[] = [];
  if (chance.random() < 0.3) exitSteps.push(randomStep(chance, 'exit0', []));
  return spec(steps, {
    exitSteps,
    failurePolicy: chance.random() < 0.5 ? 'fail_fast' : 'continue',
    maxParallel: chance.between(1, 4),
    maxConcurrentRuns: chance.pick([0, 1, 1, 2]),
    ...(chance.random() < 0.15 ? { timeoutMs: chance.between(3000, 20_000) } : {}),
  });
}

function randomStep(chance: Chance, name: string, before: readonly Step[]): Step {
  const single = before.filter((other) => !other.forEach);
  const ups =
    before.length === 0 ? [] : [chance.pick(before), chance.pick(before)].slice(0, chance.between(0, 2));
  const seen = single.length > 0 && chance.random() < 0.4 ? chance.pick(single).name : undefined;
  const of = seen === undefined ? undefined : (name: string) => `\${steps.${seen}.outputs.${name}}`;
  const isFan = chance.random() < 0.25;
  const fan = {
    maxParallel: chance.between(0, 2),
    toleratedFailures: chance.between(0, 1),
    ...(of && chance.random() < 0.6
      ? { template: of('list') }
      : { items: Array.from({ length: chance.between(0, 4) }, (_, i) => i) }),
  };
  const conditions = seen
    ? ['', `steps.${seen}.outputs.y > 4.0`, `steps.${seen}.state == 'SUCCEEDED'`]
    : ['', 'params.n > 2'];
  return step(name, ['program', ...(of && !isFan ? [of('y')] : [])], {
    dependsOn: [...new Set(ups.map((up) => up.name))],
    when: chance.random() < 0.25 ? chance.pick(conditions) : '',
    retry: {
      maxAttempts: chance.between(1, 3),
      initialBackoffMs: chance.between(10, 2000),
      factor: 2,
      maxBackoffMs: 5000,
      jitter: 0.1,
      nonRetryableExitCodes: chance.random() < 0.3 ? [3] : [],
    },
    timeoutMs: chance.between(2000, 12_000),
    resources: { cpu: chance.pick([0.5, 1, 2]), memoryBytes: 0 },
    allowFailure: chance.random() < 0.2,
    command: { outputs: [output('y'), output('list')], stopGraceMs: chance.between(100, 2000) },
    ...(isFan ? { forEach: fan } : {}),
    ...(chance.random() < 0.2 ? { cache: { version: '1' } } : {}),
  });
}
