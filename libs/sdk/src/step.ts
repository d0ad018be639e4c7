import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { names } from '@millrace/contracts';
import { invalidField } from '@millrace/errors';

/** What a program knows that runs as a step of a pipeline. */
export interface StepContext {
  /** The full name of the pipeline run. */
  readonly run: string;
  readonly task: string;
  /** The same at every attempt: pass it on as `requestId` or `key`, so that a retry does nothing twice. */
  readonly idempotencyKey: string;
  /** An idempotency key of one of several things the step does. */
  keyFor(what: string): string;
  /** The path of an input artifact. */
  input(name: string): string;
  readInput(name: string): Promise<Buffer>;
  /** Leaves an output for the following steps. */
  writeOutput(name: string, content: string | Uint8Array): Promise<void>;
  /** Leaves a JSON output. */
  writeJson(name: string, value: unknown): Promise<void>;
}

/** The full name of the task this process does: `projects/{p}/pipelineRuns/{r}/tasks/{key}`; undefined when it is no step. */
export function currentTask(env: Readonly<NodeJS.ProcessEnv> = process.env): string | undefined {
  const { MILLRACE_PROJECT: project, MILLRACE_RUN: run, MILLRACE_TASK: task } = env;
  return project && run && task ? names.task.format({ project, run, task }) : undefined;
}

/** The context of the step this process is. INVALID_FIELD when it is none. */
export function currentStep(env: Readonly<NodeJS.ProcessEnv> = process.env): StepContext {
  const need = (name: string): string => {
    const value = env[name];
    if (!value) throw invalidField(name, 'is not set', 'this program is a step: the orchestrator runs it');
    return value;
  };
  const idempotencyKey = need('MILLRACE_IDEMPOTENCY_KEY');
  const input = (name: string) => join(need('MILLRACE_INPUTS'), name);
  const writeOutput = async (name: string, content: string | Uint8Array) => {
    const path = join(need('MILLRACE_OUTPUTS'), name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  };
  return {
    run: names.pipelineRun.format({ project: need('MILLRACE_PROJECT'), run: need('MILLRACE_RUN') }),
    task: need('MILLRACE_TASK'),
    idempotencyKey,
    keyFor: (what) => createHash('sha256').update(`${idempotencyKey}/${what}`).digest('hex').slice(0, 32),
    input,
    readInput: (name) => readFile(input(name)),
    writeOutput,
    writeJson: (name, value) => writeOutput(name, JSON.stringify(value)),
  };
}
