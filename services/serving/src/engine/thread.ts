/** The entry of a worker thread: holds sessions of ONNX Runtime and runs them, one message after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import type { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { type ElementName, elementOfRuntime, elementTypes } from '../domain/element-type.ts';
import type { Port } from '../domain/signature.ts';
import { elementCount, type Tensor } from '../domain/tensor.ts';
import type { ThreadAnswer, ThreadRequest, ThreadSettings } from './messages.ts';

// The runtime's library wraps FP16 in Float16Array where that exists, which its native half does not know yet.
Reflect.deleteProperty(globalThis, 'Float16Array');
const runtime = await import('onnxruntime-node');

const { arena } = workerData as ThreadSettings;
const sessions = new Map<string, InferenceSession>();
const port = parentPort;
if (!port) throw new Error('thread.ts runs as a worker thread only');

const options: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  // One thread a session and no spinning: work scales by workers, and idle sessions cost nothing.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableCpuMemArena: arena,
  enableMemPattern: arena,
  logSeverityLevel: 4,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
};

// Requests are handled strictly one after the other, also across their awaits.
let last: Promise<void> = Promise.resolve();
port.on('message', (request: ThreadRequest) => {
  last = last.then(() => answer(request));
});

async function answer(request: ThreadRequest): Promise<void> {
  try {
    const reply = await handle(request);
    const buffers = (reply.outputs ?? []).flatMap(({ data }) =>
      data instanceof Uint8Array ? [data.buffer as ArrayBuffer] : [],
    );
    post({ id: request.id, ok: true, ...reply }, [...new Set(buffers)]);
  } catch (error) {
    post({ id: request.id, ok: false, message: error instanceof Error ? error.message : String(error) }, []);
  }
}

function post(message: ThreadAnswer, transfer: readonly ArrayBuffer[]): void {
  port?.postMessage(message, transfer);
}

async function handle(
  request: ThreadRequest,
): Promise<Omit<Extract<ThreadAnswer, { ok: true }>, 'id' | 'ok'>> {
  if (request.kind === 'load') {
    const session = await runtime.InferenceSession.create(request.model, options);
    sessions.set(request.session, session);
    return {
      signature: {
        inputs: session.inputMetadata.map(portOf),
        outputs: session.outputMetadata.map(portOf),
      },
    };
  }
  if (request.kind === 'unload') {
    await sessions.get(request.session)?.release();
    sessions.delete(request.session);
    return {};
  }
  const session = sessions.get(request.session);
  if (!session) throw new Error(`no session ${request.session}`);
  const feeds = Object.fromEntries(request.inputs.map((input) => [input.name, toRuntime(input)]));
  const results = await session.run(feeds);
  return { outputs: session.outputNames.map((name) => fromRuntime(name, results[name])) };
}

function portOf(metadata: InferenceSession.ValueMetadata): Port {
  if (!metadata.isTensor) throw new Error(`${metadata.name} is not a tensor`);
  const type = elementOfRuntime(metadata.type);
  if (!type)
    throw new Error(`${metadata.name} has elements of type ${metadata.type}, which cannot be served`);
  return { name: metadata.name, type, shape: metadata.shape.map((dim) => (dim === '' ? -1 : dim)) };
}

const views = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

function toRuntime({ type, shape, data }: Tensor): RuntimeTensor {
  if (!(data instanceof Uint8Array)) return new runtime.Tensor('string', [...data], shape);
  const View = views[type as Exclude<ElementName, 'BYTES'>];
  const values = new View(data.buffer as ArrayBuffer, data.byteOffset, elementCount(shape));
  return new runtime.Tensor(elementTypes[type].runtime as 'float32', values as Float32Array, shape);
}

function fromRuntime(name: string, tensor: RuntimeTensor | undefined): Tensor {
  const type = tensor && elementOfRuntime(tensor.type);
  if (!tensor || !type) throw new Error(`the output ${name} is not a tensor that can be served`);
  const shape = tensor.dims;
  if (type === 'BYTES') return { name, type, shape, data: tensor.data as string[] };
  const data = tensor.data as Float32Array<ArrayBuffer>;
  return { name, type, shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
