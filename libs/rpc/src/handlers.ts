import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { CallContext } from './context.ts';

/** The function that answers one method; its shape follows from the kind of the method. */
export type HandlerOf<M> = M extends {
  methodKind: infer Kind;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? Kind extends 'unary'
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : Kind extends 'server_streaming'
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : Kind extends 'client_streaming'
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<MessageInitShape<O>>
        : (
            requests: AsyncIterable<MessageShape<I>>,
            context: CallContext,
          ) => AsyncIterable<MessageInitShape<O>>
  : never;

/** One function for each method of a service, by the method's local name. */
export type Handlers<S extends DescService> = {
  readonly [K in keyof S['method']]: HandlerOf<S['method'][K]>;
};

/** A handler whose types were checked by {@link implement} and are no longer known. */
export type ErasedHandler = (request: unknown, context: CallContext) => unknown;

/** A service and the functions that answer its methods. */
export interface Implementation {
  readonly service: DescService;
  handler(method: DescMethod): ErasedHandler | undefined;
}

/** Joins a service and its handlers. A missing method does not compile. */
export function implement<S extends DescService>(service: S, handlers: Handlers<S>): Implementation {
  const table = handlers as Readonly<Record<string, unknown>>;
  return {
    service,
    handler: (method) => {
      const found = table[method.localName];
      return typeof found === 'function' ? (found.bind(handlers) as ErasedHandler) : undefined;
    },
  };
}
