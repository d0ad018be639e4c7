import type { Deliveries, Streams } from '@millrace/events';

/** Protections that can be taken away. */
export const controls = [
  'the word of the stream for what is published',
  'a stable message id',
  'the message that another follows',
  'acknowledging after handling',
  'the cause of a change',
  'the request id of a call',
  'events in the same write as their change',
] as const;
export type Control = (typeof controls)[number];

/** A bus with one of its protections taken away. */
export function weaken(bus: Streams, control: string | undefined): Streams {
  const own = Object.create(bus) as { -readonly [K in keyof Streams]: Streams[K] };
  let attempts = 0;
  let last = 0;
  if (control === 'the word of the stream for what is published')
    own.send = async (message) => {
      const sent = await bus.send(message).catch(() => ({ seq: last, duplicate: false }));
      last = sent.seq;
      return sent;
    };
  if (control === 'a stable message id')
    own.send = (message) => bus.send({ ...message, id: `${message.id}#${bus.name}-${++attempts}` });
  if (control === 'the message that another follows')
    own.send = ({ after: _, ...message }) => bus.send(message);
  if (control === 'acknowledging after handling')
    own.consume = async (...wanted) => acknowledgeFirst(await bus.consume(...wanted));
  return own;
}

function acknowledgeFirst(deliveries: Deliveries): Deliveries {
  return {
    close: () => deliveries.close(),
    async *[Symbol.asyncIterator]() {
      for await (const delivery of deliveries) {
        void delivery.ack(5_000).catch(() => {});
        yield { ...delivery, ack: async () => {}, nak: () => {}, working: () => {} };
      }
    },
  };
}
