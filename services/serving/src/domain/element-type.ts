/** The element types of the Open Inference Protocol v2 that a model can have, and what each is elsewhere. */
export interface ElementType {
  /** Size of one element; 0 for BYTES, whose elements vary. */
  readonly bytes: number;
  /** ONNX Runtime's name. */
  readonly runtime: string;
  /** The list of InferTensorContents that holds it; FP16 has none. */
  readonly contents: ContentsField | undefined;
}

/** The lists of InferTensorContents. */
export type ContentsField =
  | 'boolContents'
  | 'intContents'
  | 'int64Contents'
  | 'uintContents'
  | 'uint64Contents'
  | 'fp32Contents'
  | 'fp64Contents'
  | 'bytesContents';

export const elementTypes = {
  BOOL: { bytes: 1, runtime: 'bool', contents: 'boolContents' },
  UINT8: { bytes: 1, runtime: 'uint8', contents: 'uintContents' },
  UINT16: { bytes: 2, runtime: 'uint16', contents: 'uintContents' },
  UINT32: { bytes: 4, runtime: 'uint32', contents: 'uintContents' },
  UINT64: { bytes: 8, runtime: 'uint64', contents: 'uint64Contents' },
  INT8: { bytes: 1, runtime: 'int8', contents: 'intContents' },
  INT16: { bytes: 2, runtime: 'int16', contents: 'intContents' },
  INT32: { bytes: 4, runtime: 'int32', contents: 'intContents' },
  INT64: { bytes: 8, runtime: 'int64', contents: 'int64Contents' },
  FP16: { bytes: 2, runtime: 'float16', contents: undefined },
  FP32: { bytes: 4, runtime: 'float32', contents: 'fp32Contents' },
  FP64: { bytes: 8, runtime: 'float64', contents: 'fp64Contents' },
  BYTES: { bytes: 0, runtime: 'string', contents: 'bytesContents' },
} as const satisfies Readonly<Record<string, ElementType>>;

/** A name of the table. */
export type ElementName = keyof typeof elementTypes;

/** Whether a text names an element type. */
export function isElementName(text: string): text is ElementName {
  return Object.hasOwn(elementTypes, text);
}

/** The element type that ONNX Runtime calls so; undefined for the types that the protocol lacks. */
export function elementOfRuntime(name: string): ElementName | undefined {
  for (const [key, row] of Object.entries(elementTypes)) if (row.runtime === name) return key as ElementName;
  return undefined;
}

/** Whether NaN can stand in it. */
export function isFloating(name: ElementName): boolean {
  return name === 'FP16' || name === 'FP32' || name === 'FP64';
}
