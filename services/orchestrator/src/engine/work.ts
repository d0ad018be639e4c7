import { createHash } from 'node:crypto';
import { resolver } from '../domain/bindings.ts';
import { canonicalJson, type Json } from '../domain/json.ts';
import type { Run } from '../domain/run.ts';
import { limits, type Step } from '../domain/spec.ts';
import type { Task } from '../domain/task.ts';
import { renderText, renderValue } from '../domain/template.ts';
import type { RunView } from '../domain/view.ts';
import type { Work } from '../executor/executor.ts';

/** Work with its references replaced, but for what belongs to the attempt. */
export type Resolved = Omit<Work, 'id'>;

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The attempt's id: the same again after a restart, so that its process is found. */
export const attemptId = (run: Pick<Run, 'id'>, key: string, attempt: number): string =>
  `${run.id}-${key}-${attempt}`;

/** Replaces the references of a step's command; `missing` names one that has no value. */
export function resolveWork(
  view: RunView,
  step: Step,
  task: Task,
): { readonly work: Resolved } | { readonly missing: string } {
  const resolve = resolver(view, task);
  const argv: string[] = [];
  for (const text of step.action.argv) {
    const rendered = renderText(text, resolve);
    if ('missing' in rendered) return rendered;
    argv.push(rendered.value);
  }
  const env: { name: string; value: string; secret: boolean }[] = [];
  for (const { name, value: text, secret } of step.action.env) {
    const rendered = renderText(text, resolve);
    if ('missing' in rendered) return rendered;
    env.push({ name, value: rendered.value, secret });
  }
  const inputs: { path: string; digest: string }[] = [];
  for (const input of step.action.inputs) {
    const rendered = renderValue(input.from, resolve);
    if ('missing' in rendered) {
      if (input.optional) continue;
      return rendered;
    }
    for (const [i, digest] of [rendered.value].flat().entries())
      if (typeof digest === 'string')
        inputs.push({ path: Array.isArray(rendered.value) ? `${input.name}/${i}` : input.name, digest });
  }
  return { work: { argv, env, files: step.action.files, inputs } };
}

/** What a result depends on, as one digest. Secrets count by their value, which cannot be read from it. */
export function cacheKeyOf(step: Step, work: Resolved): string {
  const { outputs } = step.action;
  return sha256(canonicalJson({ ...work, outputs, version: step.cache?.version ?? '' }));
}

/** The items of a step with `for_each`, or why there are none. */
export function itemsOf(
  view: RunView,
  step: Step,
  task: Task,
): { readonly items: readonly Json[] } | { readonly wrong: string } {
  const { forEach } = step;
  if (forEach?.items) return { items: forEach.items };
  const rendered = renderValue(forEach?.template ?? '', resolver(view, task));
  if ('missing' in rendered) return { wrong: `${rendered.missing} has no value` };
  const items = rendered.value;
  if (!Array.isArray(items)) return { wrong: `${forEach?.template} is no list` };
  if (items.length > limits.fanOutItems)
    return { wrong: `${items.length} items; at most ${limits.fanOutItems} may be` };
  if (canonicalJson(items).length > limits.fanOutBytes)
    return { wrong: `the items are larger than ${limits.fanOutBytes} bytes` };
  return { items: items as readonly Json[] };
}

/** The MILLRACE_ variables of an attempt, beside the folders, which the executor knows. */
export function attemptEnv(
  run: Run,
  task: Task,
  attempt: number,
  addresses: Readonly<Record<string, string>>,
) {
  const own = {
    ...addresses,
    MILLRACE_PROJECT: run.project,
    MILLRACE_PIPELINE: run.pipeline,
    MILLRACE_PIPELINE_VERSION: String(run.version),
    MILLRACE_RUN: run.id,
    MILLRACE_TASK: task.key,
    MILLRACE_STEP: task.step,
    MILLRACE_ATTEMPT: String(attempt),
    // The same at every attempt: the prefix of request ids, so that what an attempt repeats is done once.
    MILLRACE_IDEMPOTENCY_KEY: sha256(`${run.project}/${run.id}/${task.key}`).slice(0, 32),
  };
  return Object.entries(own).map(([name, value]) => ({
    name,
    value,
    // An address may carry a password.
    secret: name === 'MILLRACE_AUTH_TOKEN' || /:\/\/[^/]*@/.test(value),
  }));
}
