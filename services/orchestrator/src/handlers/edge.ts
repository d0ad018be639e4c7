import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { BlobStore } from '@millrace/blobs';
import type { CallContext } from '@millrace/rpc';
import { type Mutation, mutate } from '@millrace/service';
import type { Expressions } from '../domain/expression.ts';
import type { Engine } from '../engine/engine.ts';
import type { Executor } from '../executor/executor.ts';
import type { StartRun } from '../start-run.ts';
import type { Store } from '../store/store.ts';

/** What the handlers work with. */
export interface Edge {
  readonly store: Store;
  readonly engine: Engine;
  readonly executor: Executor;
  readonly blobs: BlobStore;
  readonly expressions: Expressions;
  readonly startRun: StartRun;
  readonly now: () => number;
}

/** Runs a mutating call once for each request id. */
export function once<I extends DescMessage, O extends DescMessage>(
  { store }: Edge,
  context: CallContext,
  project: string,
  schemas: { readonly input: I; readonly output: O },
  request: MessageShape<I> & { readonly requestId: string },
  run: (mutation: Mutation) => Promise<MessageInitShape<O>>,
): Promise<MessageInitShape<O>> {
  return mutate({ ledger: store.ledger, method: context.method, project, ...schemas }, request, run);
}

/** What makes a write to a document happen once for a request id, also when the process dies before it answers. */
export function markOf({ requestId }: Mutation): { readonly requestId?: string } {
  return requestId ? { requestId } : {};
}
