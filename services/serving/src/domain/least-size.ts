import { elementTypes } from './element-type.ts';
import type { Port, Signature } from './signature.ts';
import { elementCount } from './tensor.ts';

/** What all inputs of a model, and all outputs, may take of memory for one row, in bytes; uploads are refused by the same. */
export const maxInputMemoryBytes = 256 * 1024 ** 2;
export const maxOutputMemoryBytes = 512 * 1024 ** 2;

/** What an element of BYTES takes at least: its length in the message, its length and place in memory. */
const text = { wire: 4, memory: 40 };

/** The bytes of memory that tensors of these ports take at least, together: what varies counts as 1. */
export function leastMemory(ports: readonly Port[]): number {
  return sum(ports.map((port) => leastElements(port) * (elementTypes[port.type].bytes || text.memory)));
}

/**
 * Why nobody could ask a model anything, or a run of one row takes too much; undefined when neither is so. A request has
 * all inputs; an answer has the outputs that were asked for, so one that fits is enough.
 */
export function sizeProblem(signature: Signature, maxMessageBytes: number): string | undefined {
  const inputs = sum(signature.inputs.map(leastWire));
  if (inputs > maxMessageBytes)
    return `its inputs take at least ${inputs} bytes; allowed: ${maxMessageBytes}`;
  const output = Math.min(...signature.outputs.map(leastWire));
  if (signature.outputs.length > 0 && output > maxMessageBytes)
    return `each of its outputs takes at least ${output} bytes; allowed: ${maxMessageBytes}`;
  const [given, made] = [leastMemory(signature.inputs), leastMemory(signature.outputs)];
  if (given > maxInputMemoryBytes)
    return `its inputs take at least ${given} bytes of memory; allowed: ${maxInputMemoryBytes}`;
  if (made > maxOutputMemoryBytes)
    return `its outputs take at least ${made} bytes of memory; allowed: ${maxOutputMemoryBytes}`;
  return undefined;
}

function leastWire(port: Port): number {
  return leastElements(port) * (elementTypes[port.type].bytes || text.wire);
}

function leastElements({ shape }: Port): number {
  return elementCount(shape.map((dim) => (typeof dim === 'string' || dim < 0 ? 1 : dim)));
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
