import { invalidField } from '@millrace/errors';
import { parseByteStrings } from './byte-strings.ts';
import { elementTypes, isElementName } from './element-type.ts';
import { parseShape, type Tensor } from './tensor.ts';
import { type Contents, parseContents } from './typed-contents.ts';

/** What a ModelInferRequest says of its inputs. */
export interface WireRequest {
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly bigint[];
    readonly contents?: Contents | undefined;
  }[];
  readonly rawInputContents: readonly Uint8Array[];
}

/** More inputs than any model has; a list of a million would only cost time. */
const maxInputs = 1024;
const typeNames = Object.keys(elementTypes).join(', ');

/**
 * Takes the inputs of a request apart. Data stays where it is: a tensor's bytes are a view of the message. Everything
 * wrong with a request by itself is refused here with the path of the field; see `signature.ts` for what a model wants.
 */
export function parseInputs(request: WireRequest): ReadonlyMap<string, Tensor> {
  const { inputs, rawInputContents: raws } = request;
  if (inputs.length > maxInputs)
    throw invalidField('inputs', `${inputs.length} inputs`, `at most ${maxInputs}`);
  if (raws.length > 0 && raws.length !== inputs.length)
    throw invalidField(
      'raw_input_contents',
      `${raws.length} buffers`,
      `${inputs.length}, one for each input`,
    );
  const tensors = new Map<string, Tensor>();
  for (const [i, input] of inputs.entries()) {
    const at = `inputs[${i}]`;
    const { name, datatype } = input;
    if (name === '') throw invalidField(`${at}.name`, 'empty', 'the name of an input');
    if (tensors.has(name))
      throw invalidField(`${at}.name`, `${show(name)} is there twice`, 'each input once');
    if (!isElementName(datatype))
      throw invalidField(`${at}.datatype`, `${show(datatype)} is no data type`, typeNames);
    const { shape, count } = parseShape(input.shape, `${at}.shape`);
    const raw = raws[i];
    if (raw && input.contents)
      throw invalidField(`${at}.contents`, 'used together with raw_input_contents', 'one of the two');
    const data = raw
      ? parseRaw(raw, datatype, count, `raw_input_contents[${i}]`)
      : parseContents(input.contents, datatype, count, `${at}.contents`);
    tensors.set(name, { name, type: datatype, shape, data });
  }
  return tensors;
}

function parseRaw(
  raw: Uint8Array,
  type: keyof typeof elementTypes,
  count: number,
  field: string,
): Tensor['data'] {
  if (type === 'BYTES') return parseByteStrings(raw, count, field);
  const { bytes } = elementTypes[type];
  if (raw.byteLength !== count * bytes)
    throw invalidField(
      field,
      `${raw.byteLength} bytes`,
      `${count * bytes} bytes: ${count} elements of ${bytes}`,
    );
  if (type === 'BOOL' && raw.some((byte) => byte > 1))
    throw invalidField(field, 'a byte of BOOL is neither 0 nor 1', '0 or 1');
  return raw;
}

/** A caller's text, short and quoted, for a message. */
export function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
