import type { Signature } from '../domain/signature.ts';
import type { Tensor } from '../domain/tensor.ts';

/** What a worker thread is asked. Data is transferred, not copied. */
export type ThreadRequest =
  | { readonly id: number; readonly kind: 'load'; readonly session: string; readonly model: Uint8Array }
  | {
      readonly id: number;
      readonly kind: 'run';
      readonly session: string;
      readonly inputs: readonly Tensor[];
    }
  | { readonly id: number; readonly kind: 'unload'; readonly session: string };

/** What it answers. `message` is the runtime's own text: for the log, never for callers. */
export type ThreadAnswer =
  | { readonly id: number; readonly ok: true; readonly signature?: Signature; readonly outputs?: Tensor[] }
  | { readonly id: number; readonly ok: false; readonly message: string };

/** What every session of a thread is created with. */
export interface ThreadSettings {
  /** The runtime's arena is faster and keeps its greatest size for ever. */
  readonly arena: boolean;
}
