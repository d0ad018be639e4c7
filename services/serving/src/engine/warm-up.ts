import { CodedError } from '@millrace/errors';
import { gather, isWhole, sliceRows } from '../domain/batch.ts';
import { type ElementName, elementTypes } from '../domain/element-type.ts';
import { leastMemory, sizeProblem } from '../domain/least-size.ts';
import { countsRows, type Feeds, type Signature } from '../domain/signature.ts';
import { elementCount, numbersOf, type Tensor } from '../domain/tensor.ts';

/** What a warm-up found out. */
export interface WarmUp {
  /** Whether requests may be put together: a batch answers each row as it would alone. */
  readonly batchable: boolean;
}

/**
 * Runs a model before anyone waits for it: one row, then two different rows together and each by itself. A model whose
 * answer for a row depends on its neighbours (a softmax over the wrong axis, a mean over the batch) must not be batched,
 * and its signature does not tell. Throws what the first run throws when every size is known, and MODEL_LOAD_FAILED,
 * before anything is built, when nobody could ask it anything or its tensors take too much (see `least-size.ts`).
 */
export async function warmUp(
  signature: Signature,
  maxMessageBytes: number,
  run: (inputs: Tensor[]) => Promise<Tensor[]>,
): Promise<WarmUp> {
  const problem = sizeProblem(signature, maxMessageBytes);
  if (problem)
    throw new CodedError(
      'failed_precondition',
      'MODEL_LOAD_FAILED',
      `the model cannot be loaded: ${problem}`,
    );
  const batched = countsRows(signature);
  const free = signature.inputs.some((port) =>
    port.shape.slice(batched ? 1 : 0).some((dim) => typeof dim === 'string' || dim < 0),
  );
  try {
    await run(gather([sample(signature, 1, 0)]));
  } catch (error) {
    // A size that varies was guessed as 1, which need not suit the model.
    if (free) return { batchable: false };
    throw error;
  }
  // Rows that fill more than half a message gain nothing from company, and many of them would take the memory.
  const rowBytes = Math.max(leastMemory(signature.inputs), leastMemory(signature.outputs));
  if (!batched || 2 * rowBytes > maxMessageBytes) return { batchable: false };
  try {
    const two = sample(signature, 2, 1);
    const together = await run(gather([two]));
    for (const row of [0, 1]) {
      const single = { ...two, tensors: two.tensors.map((tensor) => sliceRows(tensor, row, 1)) };
      const alone = await run(gather([single]));
      if (!alone.every((output, i) => sameRow(together[i], output, row))) return { batchable: false };
    }
    return { batchable: true };
  } catch {
    return { batchable: false };
  }
}

/** Inputs of small, differing values. */
function sample(signature: Signature, rows: number, seed: number): Feeds {
  let state = 12345 + seed;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) / 65536;
  };
  const tensors = signature.inputs.map((port): Tensor => {
    const shape = port.shape.map((dim, i) =>
      i === 0 && countsRows(signature) ? rows : typeof dim === 'string' || dim < 0 ? 1 : dim,
    );
    const { name, type } = port;
    return { name, type, shape, data: values(type, elementCount(shape), next) };
  });
  return { tensors, rows, mergeKey: '' };
}

function values(type: ElementName, count: number, next: () => number): Tensor['data'] {
  if (type === 'BYTES') return Array.from({ length: count }, () => (next() < 0.5 ? '' : 'a'));
  const data = new Uint8Array(count * elementTypes[type].bytes);
  const view = new DataView(data.buffer);
  for (let i = 0; i < count; i++) {
    if (type === 'FP32') view.setFloat32(4 * i, next(), true);
    else if (type === 'FP64') view.setFloat64(8 * i, next(), true);
    else if (type === 'FP16') view.setUint16(2 * i, next() < 0.5 ? 0 : 0x3c00, true);
    // Whole numbers of 0 and 1 are truth values, categories and indices that every table has.
    else view.setUint8(i * elementTypes[type].bytes, next() < 0.5 ? 0 : 1);
  }
  return data;
}

function sameRow(together: Tensor | undefined, alone: Tensor, row: number): boolean {
  if (together?.shape[0] !== 2 || alone.shape[0] !== 1) return false;
  if (!isWhole(together) || !isWhole(alone)) return false;
  const part = sliceRows(together, row, 1);
  if (part.shape.join() !== alone.shape.join()) return false;
  if (!(alone.data instanceof Uint8Array)) return alone.data.every((text, i) => text === part.data[i]);
  const [a, b] = [numbersOf(alone), numbersOf(part)];
  return a.every((value, i) => isClose(value, b[i] ?? Number.NaN));
}

function isClose(a: number, b: number): boolean {
  if (Object.is(a, b) || a === b) return true;
  return Math.abs(a - b) <= 1e-6 + 1e-3 * Math.max(Math.abs(a), Math.abs(b));
}
