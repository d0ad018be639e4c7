import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { type Mutation, mutate } from '@millrace/service';
import type { Registry } from '../registry.ts';

/** A method with one request and one response. */
type UnaryMethod<I extends DescMessage, O extends DescMessage> = DescMethod & {
  readonly input: I;
  readonly output: O;
};

/** Runs a mutating call once for each request id; see {@link mutate}. */
export function mutating<I extends DescMessage, O extends DescMessage>(
  registry: Registry,
  method: UnaryMethod<I, O>,
  project: string,
  request: MessageShape<I> & { readonly requestId: string },
  run: (mutation: Mutation) => Promise<MessageInitShape<O>>,
): Promise<MessageInitShape<O>> {
  const name = `${method.parent.typeName}/${method.name}`;
  const { input, output } = method;
  return mutate({ ledger: registry.ledger, method: name, project, input, output }, request, run);
}
