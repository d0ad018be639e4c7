import { CodedError, invalidField } from '@millrace/errors';
import type { LoggingSpec } from '../domain/deployment.ts';
import { elementTypes } from '../domain/element-type.ts';
import {
  assembledBlocks,
  type HeadsOf,
  keyBlocks,
  type LogBlock,
  type LogHeads,
  type LogRecord,
  tensorBlocks,
  tensorHeads,
} from '../domain/log-rows.ts';
import { type Assembled, assemble, type FeatureQuery, featureQuery } from '../domain/lookup.ts';
import { parseInputs } from '../domain/request.ts';
import { chooseOutputs, type Feeds, matchSignature, type Port } from '../domain/signature.ts';
import { fraction } from '../domain/split.ts';
import { sizeOf, type Tensor } from '../domain/tensor.ts';
import { encodeContents, encodeRaw } from '../domain/typed-contents.ts';
import { versionName } from '../store.ts';
import type { FeatureReader } from './features.ts';
import { eventTimeOf, type InferRequest, type InferResponse, wantsTyped } from './infer-parameters.ts';
import type { InferenceLog } from './inference-log.ts';
import {
  chooseTarget,
  keyOfModelName,
  type LiveDeployment,
  type LiveTarget,
  type Routes,
  shadowsOf,
} from './live.ts';
import type { LogSource } from './logged-event.ts';
import type { Repeats } from './repeats.ts';

export interface InferOptions {
  readonly routes: Routes;
  /** Called for a name that is not among the routes: another replica may have created it just now. */
  discover(key: string): Promise<void>;
  readonly features: FeatureReader;
  readonly log: InferenceLog;
  readonly repeats: Repeats;
  readonly maxRequestBytes: number;
  /** Most bytes of inputs of all requests under way together. */
  readonly maxPendingBytes: number;
  now(): number;
  newId(): string;
  readonly logger: { warn(fields: object, message: string): void };
}

interface InferCall {
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** One request on its way: what was read from it and who answers it. */
interface Job {
  readonly id: string;
  /** Whether the id is the caller's own. */
  readonly named: boolean;
  readonly deployment: LiveDeployment;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly eventTimeMs: number | undefined;
}

/** What fed a model: its tensors, and what the look-up knows for the log. */
interface Fed {
  readonly feeds: Feeds;
  readonly query: FeatureQuery | undefined;
  readonly assembled: Assembled | undefined;
}

/** Answers one request of the Open Inference Protocol. */
export type Infer = (request: InferRequest, call: InferCall) => Promise<InferResponse>;

export function createInfer(options: InferOptions): Infer {
  const { routes, features, log } = options;
  let pendingBytes = 0;

  const feed = async (job: Job, target: LiveTarget, call: InferCall): Promise<Fed> => {
    const { signature } = target.model;
    if (!target.lookup)
      return { feeds: matchSignature(job.inputs, signature), query: undefined, assembled: undefined };
    const query = featureQuery(target.lookup, job.inputs, job.eventTimeMs);
    const values = await features(job.deployment.project, query, target.lookup, call);
    const assembled = assemble(target.lookup, signature, job.inputs, query, values);
    return { feeds: matchSignature(assembled.inputs, signature), query, assembled };
  };

  const record = (job: Job, fed: Fed, outputs: readonly Tensor[]): LogRecord => {
    const { rows } = fed.feeds;
    const heads = headsOf(job.deployment.spec.logging);
    const blocksOf = (tensors: readonly Tensor[]): LogBlock[] =>
      tensors.flatMap((tensor) => {
        const columns = fed.assembled?.columns.get(tensor.name);
        return columns ? assembledBlocks(columns) : tensorBlocks(tensor, rows, heads);
      });
    const timesMs = fed.query?.timesMs;
    const sharedMs = job.eventTimeMs ?? options.now();
    return {
      requestId: job.id,
      rows,
      eventTimesUs: Array.from({ length: rows }, (_, row) => 1000 * (timesMs?.[row] ?? sharedMs)),
      entities: keyBlocks(fed.query?.keys ?? []),
      inputs: blocksOf(fed.feeds.tensors),
      outputs: blocksOf(outputs),
    };
  };

  /** Logs as the deployment says; settles when the caller may be answered. */
  const write = async (job: Job, target: LiveTarget, fed: Fed, outputs: readonly Tensor[]): Promise<void> => {
    const { mode, sampleRate } = job.deployment.spec.logging;
    if (mode === 'off') return;
    if (mode === 'sampled' && fraction(job.id, 'log') >= sampleRate) return;
    const source: LogSource = {
      project: job.deployment.project,
      deployment: job.deployment.name,
      modelVersion: versionName(target.spec.model, target.version),
      shadow: target.spec.shadow,
      sampleRate: mode === 'sampled' ? sampleRate : 1,
    };
    const rows = record(job, fed, outputs);
    const put = async () => {
      if (mode === 'whole' && !target.spec.shadow) await log.commit(source, rows);
      // A shadow holds nobody up: its log is durable soon, not first.
      else log.add(source, rows);
    };
    if (job.named) await options.repeats.once(source, rows, put);
    else await put();
  };

  const runShadow = async (job: Job, target: LiveTarget, deadlineMs: number): Promise<void> => {
    const done = target.use();
    try {
      // The caller's answer goes first.
      await new Promise((resolve) => setImmediate(resolve));
      const call = { deadlineMs, signal: new AbortController().signal };
      const fed = await feed(job, target, call);
      await write(job, target, fed, await target.model.run(fed.feeds, call));
    } catch (err) {
      options.logger.warn(
        { err, deployment: job.deployment.name, version: target.version },
        'a shadow run failed',
      );
    } finally {
      done();
    }
  };

  return async (request, call) => {
    const key = keyOfModelName(request.modelName);
    if (!routes.all.has(key)) await options.discover(key);
    const deployment = routes.find(request.modelName);
    const id = request.id || options.newId();
    if (id.length > maxIdLength)
      throw invalidField('id', `${id.length} characters`, `at most ${maxIdLength}`);
    const target = chooseTarget(deployment, request.modelVersion, id);
    const done = target.use();
    let bytes = 0;
    try {
      const inputs = parseInputs(request);
      const job: Job = {
        id,
        named: request.id !== '',
        deployment,
        inputs,
        eventTimeMs: eventTimeOf(request),
      };
      const size = [...inputs.values()].reduce((sum, tensor) => sum + sizeOf(tensor), 0);
      if (size > options.maxRequestBytes) throw tooLarge(size, options.maxRequestBytes);
      if (pendingBytes > 0 && pendingBytes + size > options.maxPendingBytes) throw tooMuch(pendingBytes);
      bytes = size;
      pendingBytes += bytes;
      const ports = chooseOutputs(request.outputs, target.model.signature);
      const typed = typedContents(request, ports);
      const fed = await feed(job, target, call);
      const outputs = await target.model.run(fed.feeds, call);
      await write(job, target, fed, outputs);
      if (!target.spec.shadow && request.modelVersion === '') {
        // Shadows are those of now: one that the request began with may have been unloaded meanwhile.
        const deadlineMs = options.now() + shadowTimeoutMs;
        for (const shadow of shadowsOf(routes.all.get(key) ?? deployment))
          void runShadow(job, shadow, deadlineMs);
      }
      return respond(request, target, id, { ports, typed }, outputs, fed.assembled);
    } finally {
      pendingBytes -= bytes;
      done();
    }
  };
}

/** Heads of the columns that a deployment logs, kept as long as its settings: one set for each tensor and width. */
const known = new WeakMap<LoggingSpec, Map<string, LogHeads>>();

function headsOf(logging: LoggingSpec): HeadsOf {
  let made = known.get(logging);
  if (!made) {
    made = new Map();
    known.set(logging, made);
  }
  const all = made;
  return (tensor, wide) => {
    const key = `${tensor.type} ${wide} ${tensor.name}`;
    let heads = all.get(key);
    if (!heads) {
      const named = logging.tensorColumns.find((columns) => columns.tensor === tensor.name);
      heads = tensorHeads(tensor, wide, named?.columns);
      all.set(key, heads);
    }
    return heads;
  };
}

const shadowTimeoutMs = 30_000;
const maxIdLength = 256;

function respond(
  request: InferRequest,
  target: LiveTarget,
  id: string,
  { ports, typed }: { readonly ports: readonly Port[]; readonly typed: boolean },
  outputs: readonly Tensor[],
  assembled: Assembled | undefined,
): InferResponse {
  const chosen = ports.map((port) => outputs.find((output) => output.name === port.name) as Tensor);
  const parameters: InferResponse['parameters'] = {
    inference_id: { parameterChoice: { case: 'stringParam', value: id } },
  };
  if (assembled)
    parameters.features_missing = {
      parameterChoice: { case: 'int64Param', value: BigInt(assembled.missing) },
    };
  return {
    modelName: request.modelName,
    modelVersion: String(target.version),
    id: request.id,
    parameters,
    outputs: chosen.map((output) => ({
      name: output.name,
      datatype: output.type,
      shape: output.shape.map(BigInt),
      ...(typed ? { contents: encodeContents(output) as Contents } : {}),
    })),
    rawOutputContents: typed ? [] : chosen.map(encodeRaw),
  };
}

type Contents = NonNullable<InferResponse['outputs'][number]['contents']>;

/** Whether the answer is in typed contents. Told before the model runs: what is refused is not logged either. */
function typedContents(request: InferRequest, ports: readonly Port[]): boolean {
  const typed = wantsTyped(
    request,
    ports.map((port) => port.name),
  );
  const untyped = typed ? ports.find((port) => !elementTypes[port.type].contents) : undefined;
  if (!untyped) return typed;
  throw invalidField(
    `outputs.${untyped.name}`,
    `is ${untyped.type}, which typed contents cannot hold`,
    'raw contents',
  );
}

function tooMuch(bytes: number): CodedError {
  const message = `requests under way hold ${bytes} bytes already (MAX_PENDING_BYTES); retry later`;
  return new CodedError('resource_exhausted', 'OVERLOADED', message, { retryAfterMs: 200 });
}

function tooLarge(bytes: number, maxBytes: number): CodedError {
  const message = `the inputs have ${bytes} bytes; allowed: ${maxBytes} (MAX_REQUEST_BYTES)`;
  return new CodedError('resource_exhausted', 'TOO_LARGE', message);
}
