/** How large and how intricate a model may be before it is refused. */
export interface ModelLimits {
  /** Bytes of the file. */
  readonly maxBytes: number;
  /** Messages, strings and byte strings in the file: what reading it costs in objects. */
  readonly maxObjects: number;
  /** Numbers in lists, such as the attributes of a tree ensemble or weights not kept as raw bytes. */
  readonly maxListNumbers: number;
  /** Nodes of the graph and all its sub-graphs. */
  readonly maxNodes: number;
  /** Bytes of all weights together. */
  readonly maxInitializerBytes: number;
  /** Elements of one tensor, as far as its shape is fixed. */
  readonly maxTensorElements: number;
  /**
   * Bytes of a message that all inputs together take at least, and of the smallest output, as a caller can ask for one
   * alone: what varies counts as 1, a text as the 4 bytes of its length. What is more can never be asked.
   */
  readonly maxMessageBytes: number;
  /** Bytes of memory that all inputs together take at least, a text as 40: serving builds them for a first run. */
  readonly maxInputMemoryBytes: number;
  /** Bytes of memory that all outputs together take at least, a text as 40: each run makes all of them. */
  readonly maxOutputMemoryBytes: number;
  /** Graphs inside graphs (`If`, `Loop`, `Scan`). */
  readonly maxSubgraphDepth: number;
  /** Inputs, and outputs, of the model. */
  readonly maxInputs: number;
  /**
   * Domains whose operators may be used. `ai.onnx` also stands for the empty domain. `com.microsoft` is among the
   * defaults because these operators are compiled into ONNX Runtime, which writes them when it optimizes or
   * quantizes a model; those of them that load other code are refused by name.
   */
  readonly domains: readonly string[];
}

/** Limits that real models of a single file stay well below. */
export const defaultLimits: ModelLimits = {
  maxBytes: 512 * 1024 * 1024,
  maxObjects: 2_000_000,
  maxListNumbers: 16_000_000,
  maxNodes: 100_000,
  maxInitializerBytes: 512 * 1024 * 1024,
  maxTensorElements: 2 ** 31 - 1,
  // The largest message that serving takes and gives.
  maxMessageBytes: 80 * 1024 * 1024,
  maxInputMemoryBytes: 256 * 1024 * 1024,
  // An eighth of the container that serving has by default.
  maxOutputMemoryBytes: 512 * 1024 * 1024,
  maxSubgraphDepth: 4,
  maxInputs: 256,
  domains: ['ai.onnx', 'ai.onnx.ml', 'com.microsoft'],
};
