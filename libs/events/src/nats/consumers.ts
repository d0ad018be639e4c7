import { unavailable } from '@millrace/errors';
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  type JetStreamManager,
  type JsMsg,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { ConsumerSettings, Deliveries, Delivery } from '../port.ts';
import type { Link } from './bus.ts';
import { isMissing, orUnavailable } from './failures.ts';
import { readHeaders } from './headers.ts';
import { differences, requireSame } from './settings.ts';
import { untilReconnected } from './streams.ts';

/**
 * Makes a durable consumer, or brings it to these settings, and reads them back. False when the stream does not
 * exist yet. The server redelivers without limit: tries are counted by the subscription, which puts a message that
 * used them up among the dead letters; a limit of the server would only drop it.
 */
export async function applyConsumer(
  manager: JetStreamManager,
  stream: string,
  settings: ConsumerSettings,
): Promise<boolean> {
  const { durable, subjects } = settings;
  const changeable = {
    ack_wait: nanos(settings.ackWaitMs),
    max_deliver: -1,
    max_ack_pending: settings.maxInFlight,
    filter_subjects: [...subjects].sort(),
  };
  const fixed = {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: settings.from === 'all' ? DeliverPolicy.All : DeliverPolicy.New,
    replay_policy: ReplayPolicy.Instant,
  };
  const what = `consumer ${durable} of ${stream}`;
  try {
    const found = await readConfig(manager, stream, durable);
    if (found && differences(changeable, comparable(found)).length === 0) return true;
    const made = await orUnavailable(what, () =>
      found
        ? manager.consumers.update(stream, durable, changeable)
        : manager.consumers.add(stream, { ...fixed, ...changeable }),
    );
    requireSame(what, changeable, comparable(made.config));
    return true;
  } catch (error) {
    if (isMissing(error) || isMissing((error as Error).cause)) return false;
    throw error;
  }
}

async function readConfig(manager: JetStreamManager, stream: string, durable: string) {
  try {
    return (await manager.consumers.info(stream, durable)).config;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A single filter may come back in the singular setting; the order of filters means nothing. */
function comparable(config: ConsumerConfig): object {
  const subjects = config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []);
  return { ...config, filter_subjects: [...subjects].sort() };
}

/** Takes a share of a durable consumer's messages. */
export async function consume(
  link: Link,
  stream: string,
  durable: string,
  maxInFlight: number,
): Promise<Deliveries> {
  const consumer = await (await link.jetstream()).consumers.get(stream, durable);
  const messages = await consumer.consume({
    max_messages: maxInFlight,
    expires: 10_000,
    abort_on_missing_resource: true,
  });
  return {
    async *[Symbol.asyncIterator]() {
      for await (const message of messages) yield toDelivery(link, message);
    },
    close: async () => void (await messages.close()),
  };
}

function toDelivery(link: Link, message: JsMsg): Delivery {
  const { subject, data, seq, time } = message;
  return {
    subject,
    headers: readHeaders(() => message.headers),
    data,
    seq,
    time,
    stream: message.info.stream,
    deliveryCount: message.info.deliveryCount,
    connection: link.connections,
    ack: async (timeoutMs) => {
      if (!link.connected) throw unavailable('NATS');
      const connection = await link.connection();
      // The client's own ackAck can be sent once only.
      const reply = 'reply' in message ? String(message.reply) : '';
      const answer = connection.request(reply, '+ACK', { timeout: timeoutMs });
      await orUnavailable('acknowledging', () => untilReconnected(link, answer));
    },
    nak: (delayMs) => message.nak(delayMs),
    term: (reason) => message.term(reason),
    working: () => message.working(),
  };
}
