import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { BlobStore } from '@millrace/blobs';
import { invalidField } from '@millrace/errors';
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

/** The page of a list request. */
export function pageOf(request: { readonly pageSize: number; readonly pageToken: string }) {
  return {
    limit: Math.min(request.pageSize || 100, 1000),
    ...(request.pageToken ? { after: request.pageToken } : {}),
  };
}

/** The version an etag stands for, as an expected version; empty means any. */
export function expectOf(etag: string, field = 'etag'): { readonly expect?: number } {
  if (etag === '') return {};
  if (/^[1-9]\d{0,14}$/.test(etag)) return { expect: Number(etag) };
  throw invalidField(field, `${JSON.stringify(etag)} is no etag`, 'the etag of the resource as it was read');
}
