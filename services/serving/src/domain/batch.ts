import { elementTypes } from './element-type.ts';
import type { Feeds } from './signature.ts';
import { elementCount, rowElements, type Tensor } from './tensor.ts';

/**
 * Puts requests of one merge key together: one tensor for each input, rows after rows. This is the one copy that
 * data makes between the message and the model.
 */
export function gather(items: readonly Feeds[]): Tensor[] {
  const first = items[0];
  if (!first) throw new TypeError('a batch has at least one request');
  return first.tensors.map((head, i) => {
    const parts = items.map((item) => item.tensors[i] as Tensor);
    const shape =
      items.length === 1
        ? head.shape
        : [parts.reduce((rows, part) => rows + (part.shape[0] ?? 0), 0), ...head.shape.slice(1)];
    return { name: head.name, type: head.type, shape, data: concatenate(parts) };
  });
}

function concatenate(parts: readonly Tensor[]): Tensor['data'] {
  if (parts[0]?.type === 'BYTES') return parts.flatMap((part) => part.data as readonly string[]);
  const all = parts.map((part) => part.data as Uint8Array);
  const data = new Uint8Array(all.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of all) {
    data.set(part, at);
    at += part.byteLength;
  }
  return data;
}

/** Why an output cannot be shared out among the requests of a batch. */
export class UnevenOutputError extends Error {
  override readonly name = 'UnevenOutputError';
}

/** Takes the outputs of a batch apart again: views, not copies. */
export function scatter(outputs: readonly Tensor[], rows: readonly number[]): Tensor[][] {
  if (rows.length === 1) return [[...outputs]];
  const total = rows.reduce((sum, count) => sum + count, 0);
  let from = 0;
  return rows.map((count) => {
    const share = outputs.map((output) => {
      if (output.shape[0] !== total)
        throw new UnevenOutputError(`${output.name} has ${output.shape[0]} rows for ${total} rows of input`);
      return sliceRows(output, from, count);
    });
    from += count;
    return share;
  });
}

/** Some rows of a tensor. */
export function sliceRows(tensor: Tensor, from: number, count: number): Tensor {
  const shape = [count, ...tensor.shape.slice(1)];
  const per = rowElements(tensor.shape);
  const unit = tensor.data instanceof Uint8Array ? per * elementTypes[tensor.type].bytes : per;
  const data =
    tensor.data instanceof Uint8Array
      ? tensor.data.subarray(from * unit, (from + count) * unit)
      : tensor.data.slice(from * unit, (from + count) * unit);
  return { ...tensor, shape, data };
}

/** Whether a tensor's data has the size that its shape says. */
export function isWhole(tensor: Tensor): boolean {
  const count = elementCount(tensor.shape);
  if (!(tensor.data instanceof Uint8Array)) return tensor.data.length === count;
  return tensor.data.byteLength === count * elementTypes[tensor.type].bytes;
}
