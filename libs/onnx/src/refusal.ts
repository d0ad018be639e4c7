/** Why a model is refused. */
export type RefusalCode =
  | 'EMPTY'
  | 'NOT_ONNX'
  | 'MALFORMED'
  | 'TOO_LARGE'
  | 'TOO_COMPLEX'
  | 'UNSUPPORTED_VERSION'
  | 'NO_GRAPH'
  | 'EXTERNAL_DATA'
  | 'CUSTOM_DOMAIN'
  | 'FORBIDDEN_OPERATOR'
  | 'LOCAL_FUNCTION'
  | 'TRAINING_INFO'
  | 'SUBGRAPH_DEPTH'
  | 'BAD_SHAPE'
  | 'BAD_TENSOR'
  | 'BAD_NAME'
  | 'DUPLICATE_NAME'
  | 'UNDEFINED_VALUE'
  | 'UNSUPPORTED_TYPE'
  | 'UNCHECKED';

/** One reason why a model is refused: a code for programs, words for people. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
}

/** Most reasons that are listed for one model. */
const maxRefusals = 20;

/** Collects reasons, each once, and stops at a number people still read. */
export interface Refusals {
  readonly list: readonly Refusal[];
  add(code: RefusalCode, message: string): void;
}

export function collectRefusals(): Refusals {
  const list: Refusal[] = [];
  const seen = new Set<string>();
  return {
    list,
    add: (code, message) => {
      if (list.length >= maxRefusals || seen.has(message)) return;
      seen.add(message);
      list.push({ code, message });
    },
  };
}

/** A name from a file as it may be shown: quoted, control characters escaped, cut to 80 characters. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
