import { readFileSync } from 'node:fs';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ModelInferRequestSchema, ModelMetadataResponse } from '@millrace/contracts/inference';
import { invalidField } from '@millrace/errors';
import { usage } from '../cli/usage.ts';
import { command } from '../command.ts';
import { withSuite } from '../session.ts';
import { number } from '../show/format.ts';
import type { Output } from '../show/output.ts';
import { contentsOf, type OutputTensor, outputsOf } from './tensor.ts';

type Request = MessageInitShape<typeof ModelInferRequestSchema>;
type Tensor = NonNullable<Request['inputs']>[number];

export const predict = command({
  summary: 'Asks a deployment, by the Open Inference Protocol v2',
  args: ['DEPLOYMENT'],
  options: {
    input: {
      type: 'string',
      short: 'i',
      multiple: true,
      value: 'NAME=1,2,3',
      meaning: 'A tensor: its values, row after row. Type and shape come from the model.',
    },
    file: {
      type: 'string',
      short: 'f',
      value: 'FILE',
      meaning: 'A request in the JSON form of the protocol; - is standard input.',
    },
    version: {
      type: 'string',
      value: 'N',
      meaning: 'A version of the model. Default: the deployment chooses.',
    },
    id: { type: 'string', value: 'ID', meaning: 'Names the request, for ground truth later.' },
  },
  notes: [
    'Inputs that the model does not name, such as entity keys of a feature look-up, are sent as one row for each value:',
    'INT64 when all are whole numbers, FP64 when all are numbers, else BYTES. NAME:TYPE=… chooses the type.',
    '',
    'Example: millrace predict flight-delay --input origin=ORD --input destination=LGA',
  ],
  run: ({ args, options, globals, out }) =>
    withSuite(globals, async ({ inference }) => {
      const { input, file, id = '', version = '' } = options;
      if ((input === undefined) === (file === undefined))
        throw usage('give either --input NAME=VALUES, as often as there are inputs, or --file FILE');
      const name = args[0]!;
      const model = input ? await inference.modelMetadata({ name, version }) : undefined;
      const inputs = input ? input.map((text) => tensorOf(text, model)) : readRequest(file!);
      const response = await inference.modelInfer({ modelName: name, modelVersion: version, id, inputs });
      const outputs = outputsOf(response);
      if (out.json) {
        const { modelName, modelVersion } = response;
        const shown = outputs.map(({ name, datatype, shape, values }) => ({
          name,
          datatype,
          shape,
          data: values.map((value) => (typeof value === 'bigint' ? Number(value) : value)),
        }));
        out.document({ model_name: modelName, model_version: modelVersion, id: response.id, outputs: shown });
      } else showOutputs(outputs, response.modelVersion, out);
      return 0;
    }),
});

/** `NAME=1,2` or `NAME:TYPE=1,2` as a tensor. */
function tensorOf(text: string, model: ModelMetadataResponse | undefined): Tensor {
  const match = /^([^=]+?)(?::([A-Z]+\d*))?=(.*)$/s.exec(text);
  if (!match) throw usage(`--input ${text} is not NAME=VALUE,VALUE,…`);
  const [, name = '', type, list = ''] = match;
  const texts = list.split(',');
  const known = model?.inputs.find((one) => one.name === name);
  const datatype = type ?? known?.datatype ?? guessType(texts);
  const shape = shapeOf(name, known?.shape.map(Number) ?? [-1], texts.length);
  return { name, datatype, shape: shape.map(BigInt), contents: contentsOf(name, datatype, texts) };
}

function guessType(texts: readonly string[]): string {
  if (texts.every((text) => /^[+-]?\d+$/.test(text))) return 'INT64';
  return texts.every((text) => text.trim() !== '' && !Number.isNaN(Number(text))) ? 'FP64' : 'BYTES';
}

/** The model's shape with its first open dimension filled so that all values have their place. */
export function shapeOf(input: string, shape: readonly number[], count: number): number[] {
  const open = shape.findIndex((size) => size < 0);
  const fixed = shape.map((size, i) => (size < 0 && i !== open ? 1 : size));
  const others = fixed.reduce((product, size, i) => (i === open ? product : product * size), 1);
  const filled = open < 0 ? fixed : fixed.with(open, others === 0 ? 0 : count / others);
  if (filled.every(Number.isInteger) && filled.reduce((product, size) => product * size, 1) === count)
    return filled;
  const each = others === 1 ? 'one value' : `${others} values`;
  throw invalidField(
    input,
    `has ${count} values`,
    `shape [${shape.join(', ')}], so ${each}${open < 0 ? '' : ' for each row'}`,
  );
}

/** The inputs of a request in the protocol's JSON form: `{"inputs":[{"name","datatype","shape","data"}]}`. */
function readRequest(file: string): Tensor[] {
  const text = readFileSync(file === '-' ? 0 : file, 'utf8');
  let body: { inputs?: { name?: unknown; datatype?: unknown; shape?: unknown; data?: unknown }[] };
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw invalidField(
      file,
      `is not JSON (${error instanceof Error ? error.message : error})`,
      'an inference request',
    );
  }
  if (!Array.isArray(body.inputs))
    throw invalidField(`${file}: inputs`, 'is not a list', 'a list of tensors');
  return body.inputs.map(({ name, datatype, shape, data }, i) => {
    const field = `${file}: inputs[${i}]`;
    if (typeof name !== 'string')
      throw invalidField(`${field}.name`, 'is not a text', 'the name of an input');
    if (typeof datatype !== 'string')
      throw invalidField(`${field}.datatype`, 'is not a text', 'FP32, INT64, BYTES …');
    if (!Array.isArray(data))
      throw invalidField(`${field}.data`, 'is not a list', 'the values, row after row');
    const texts = (data as unknown[]).flat(Number.POSITIVE_INFINITY).map(String);
    const sizes = Array.isArray(shape) ? shape.map(Number) : [texts.length];
    return {
      name,
      datatype,
      shape: sizes.map(BigInt),
      contents: contentsOf(`${field}.data`, datatype, texts),
    };
  });
}

function showOutputs(outputs: readonly OutputTensor[], version: string, out: Output): void {
  out.line(`answered by version ${version}`);
  const rows = Math.max(
    0,
    ...outputs.map(({ shape, values }) => (shape.length === 0 ? 1 : (shape[0] ?? values.length))),
  );
  const cell = ({ values, shape }: OutputTensor, row: number) => {
    const per = shape.length < 2 ? 1 : values.length / Math.max(1, shape[0]!);
    const cells = values.slice(row * per, (row + 1) * per);
    return cells.map((value) => (typeof value === 'number' ? number(value) : String(value))).join(' ');
  };
  out.table(
    Array.from({ length: rows }, (_, row) => row),
    [
      { title: 'row', value: (row) => String(row), align: 'right' },
      ...outputs.map((output) => ({
        title: output.name,
        value: (row: number) => cell(output, row),
        align: 'right' as const,
      })),
    ],
  );
}
