import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  type JetStreamManager,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { isMissing, orUnavailable } from '../failures.ts';
import { differences, requireSame } from '../stream.ts';

export interface ConsumerSettings {
  readonly durable: string;
  readonly subjects: readonly string[];
  readonly maxInFlight: number;
  readonly ackWaitMs: number;
  /** Where a consumer that is new begins. */
  readonly from: 'all' | 'new';
}

/**
 * Makes a durable consumer, or brings it to these settings, and reads them back. False when the stream does not
 * exist yet. The server redelivers without limit: tries are counted by the subscription, which puts a message that
 * used them up among the dead letters; a limit of the server would only drop it.
 */
export async function ensureConsumer(
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
