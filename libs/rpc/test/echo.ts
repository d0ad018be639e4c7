/** A service with all four kinds of calls. */
import type { Message } from '@bufbuild/protobuf';
import type { GenMessage, GenService } from '@bufbuild/protobuf/codegenv2';
import { CodedError, invalidField } from '@millrace/errors';
import { type CallContext, implement } from '../src/index.ts';
import { declare, Type } from './schema.ts';

type Text = Message<'millrace.rpctest.v1.Text'> & {
  text: string;
  count: number;
  data: Uint8Array;
  requestId: string;
};
type Shape<Kind> = { methodKind: Kind; input: GenMessage<Text>; output: GenMessage<Text> };
type EchoService = GenService<{
  getText: Shape<'unary'>;
  setText: Shape<'unary'>;
  count: Shape<'server_streaming'>;
  sum: Shape<'client_streaming'>;
  chat: Shape<'bidi_streaming'>;
  watchText: Shape<'server_streaming'>;
}>;

const unary = { input: 'Text', output: 'Text' };
export const registry = declare(
  {
    Text: {
      text: { type: Type.STRING, rules: { maxLen: 100 } },
      count: { type: Type.INT32, rules: { gte: 0 } },
      data: { type: Type.BYTES },
      request_id: { type: Type.STRING },
    },
  },
  {
    Echo: {
      GetText: { ...unary, permission: 'echo.text.get', reads: true },
      SetText: { ...unary, permission: 'echo.text.set' },
      Count: { ...unary, serverStreaming: true, permission: 'echo.text.get' },
      Sum: { ...unary, clientStreaming: true, permission: 'echo.text.set' },
      Chat: { ...unary, clientStreaming: true, serverStreaming: true, permission: 'echo.text.set' },
      WatchText: { ...unary, serverStreaming: true, permission: 'echo.text.get' },
    },
    Bare: { GetText: unary },
  },
);

export const Echo = registry.getService('millrace.rpctest.v1.Echo') as unknown as EchoService;
export const Bare = registry.getService('millrace.rpctest.v1.Bare') as unknown as GenService<{
  getText: Shape<'unary'>;
}>;

/** What the handlers saw. */
export interface Seen {
  context?: CallContext;
  /** Messages produced by `Count` and `Chat`. */
  produced: number;
  /** Messages taken in by `Sum` and `Chat`. */
  taken: number;
  /** Streaming handlers that were left. */
  left: number;
  calls: number;
}

/**
 * `text` steers what happens: `hang` waits for the signal, `deaf` waits for ever, `fail:<x>` throws.
 */
export function echo(seen: Seen = { produced: 0, taken: 0, left: 0, calls: 0 }) {
  const act = async (text: string, context: CallContext) => {
    seen.context = context;
    seen.calls++;
    if (text === 'hang')
      await new Promise((_, reject) =>
        context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true }),
      );
    if (text === 'deaf') await new Promise(() => undefined);
    if (text === 'slow') await new Promise((resolve) => setTimeout(resolve, 200));
    if (text === 'fail:plain') throw new Error('the password is hunter2');
    if (text === 'fail:field') throw invalidField('text', 'wrong ☃', 'right');
    if (text === 'fail:busy')
      throw new CodedError('resource_exhausted', 'OVERLOADED', 'the queue is full', {
        retryAfterMs: 1500,
        details: { queue: '7' },
      });
    if (text === 'fail:once' && seen.calls < 3) throw new CodedError('unavailable', 'UNAVAILABLE', 'not yet');
    if (text === 'fail:away') throw new CodedError('unavailable', 'UNAVAILABLE', 'away');
  };
  const implementation = implement(Echo, {
    getText: async (request, context) => {
      await act(request.text, context);
      return request.text === 'big' ? { data: new Uint8Array(request.count) } : request;
    },
    setText: async (request, context) => {
      await act(request.text, context);
      return request;
    },
    count: async function* (request, context) {
      try {
        for (let count = 0; count < request.count; count++) {
          yield { count, data: request.data };
          seen.produced++;
        }
        await act(request.text, context);
      } finally {
        seen.left++;
      }
    },
    sum: async (requests, context) => {
      let count = 0;
      try {
        for await (const request of requests) {
          await act(request.text, context);
          count += request.count;
          seen.taken++;
        }
      } finally {
        seen.left++;
      }
      return { count };
    },
    chat: async function* (requests, context) {
      try {
        for await (const request of requests) {
          seen.taken++;
          await act(request.text, context);
          yield request;
          seen.produced++;
        }
      } finally {
        seen.left++;
      }
    },
    watchText: async function* (request, context) {
      yield request;
      await act('hang', context);
    },
  });
  return { seen, implementation };
}
