import { channel } from 'node:diagnostics_channel';
import { subjectOf } from '@millrace/contracts';
import { from, isCoded } from '@millrace/errors';
import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import type { Clock } from '../clock.ts';
import { decodeData, decodeMessage, undecodable } from '../cloud-events.ts';
import type { AnyEvent } from '../event.ts';
import type { Log } from '../log.ts';
import type { Delivery, Streams } from '../port.ts';
import { bury, redriveHeader } from './dead-letters.ts';
import type { Handler } from './handler.ts';

/** Race point: handled, and not acknowledged yet. */
const afterHandler = channel('millrace:consumer.after-handler');

/** How long to wait before each further try; one more try than there are waits. */
export const defaultRetryMs: readonly number[] = [1_000, 5_000, 15_000, 30_000, 60_000, 120_000, 300_000];

export interface ProcessOptions {
  readonly bus: Pick<Streams, 'send' | 'connected' | 'connections' | 'readMessage'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly durable: string;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly retryMs: readonly number[];
  readonly log: Log;
  /** Aborted when the subscription stops: waits end, and the message goes back to the stream. */
  readonly stopping: AbortSignal;
}

/**
 * Takes one message to its end: handled and acknowledged, or among the dead letters, or back to the stream because
 * the subscription stops. Never throws.
 */
export async function processMessage(message: Delivery, options: ProcessOptions): Promise<void> {
  const { durable, log } = options;
  const addressee = message.headers?.get(redriveHeader);
  if (addressee && addressee !== durable) return acknowledge(message, options);
  const tried = { attempts: 0 };
  try {
    await tryHandle(message, options, tried);
    await acknowledge(message, options);
  } catch (caught) {
    if (caught === released) return message.nak();
    const { code, kind, message: reason } = from(caught);
    const { attempts } = tried;
    const fields = { durable, subject: message.subject, code, kind, attempts, err: caught };
    log.error(fields, `an event could not be handled and becomes a dead letter: ${reason}`);
    await giveUp(message, { code, reason: plainReason(caught, reason), attempts }, options);
  }
}

/** Thrown inside to give a message back. */
const released = Symbol('released');

/** Deliveries per try after which a message that was never answered is given up: it may kill its consumer. */
const deliveriesPerTry = 3;

async function tryHandle(
  message: Delivery,
  options: ProcessOptions,
  tried: { attempts: number },
): Promise<void> {
  const { durable, retryMs, clock, random, log, stopping } = options;
  const tries = retryMs.length + 1;
  const deliveries = message.deliveryCount;
  tried.attempts = deliveries;
  if (deliveries > tries * deliveriesPerTry)
    throw new Error(
      `delivered ${deliveries - 1} times and never answered; it may end its consumer's process`,
    );
  const [run, event] = prepare(message, options.handlers);
  let failure: unknown;
  // A redelivery follows a crash or a stop, so it counts as a try; but every delivery gets at least one.
  for (let attempt = Math.min(deliveries, tries); attempt <= tries; attempt++) {
    tried.attempts = attempt;
    if (stopping.aborted) throw released;
    try {
      const current = { ...event, attempt };
      await context.with(traceOf(event), () => run.handle(current));
      afterHandler.publish(current);
      return;
    } catch (caught) {
      failure = caught;
      // An event whose content is refused stays refused: trying again would only hold up those behind it.
      if (isCoded(caught, 'EVENT_UNDECODABLE') || isCoded(caught, 'invalid_argument') || attempt === tries)
        break;
      const leastMs = (isCoded(caught) ? caught.retryAfterMs : undefined) ?? retryMs[attempt - 1]!;
      // Many events may wait for one thing to come back: they must not all ask for it in the same moment.
      const waitMs = Math.round(leastMs * (1 + random() / 4));
      const fields = {
        durable,
        type: event.type,
        event: event.id,
        resource: event.resource,
        attempt,
        err: caught,
      };
      log.warn(fields, `handling failed; next try in ${waitMs} ms`);
      await clock.sleep(waitMs, stopping);
    }
  }
  throw failure;
}

function prepare(message: Delivery, handlers: ReadonlyMap<string, Handler>): [Handler, AnyEvent] {
  const envelope = decodeMessage(message.headers, message.data);
  const found = handlers.get(envelope.type);
  if (!found) throw undecodable(`no handler for events of type ${envelope.type}`);
  // Who may publish what is told by subjects, so an event is what its subject says, in the project that it says.
  if (message.subject !== subjectOf(found.type, envelope.project))
    throw undecodable(`it is of ${envelope.type} in project ${envelope.project}, and its subject is another`);
  const { contentType: _, ...attributes } = envelope;
  const data = decodeData(found.type, envelope);
  return [found, { ...attributes, data, definition: found.type, attempt: 1 }];
}

function traceOf(event: AnyEvent) {
  return event.traceparent
    ? propagation.extract(ROOT_CONTEXT, { traceparent: event.traceparent })
    : context.active();
}

/** How long each try of an acknowledgement waits: the server does not answer one that it had taken before. */
const acknowledgeMs = [5_000, 500];

/**
 * Acknowledges and waits for the server's word, again after a lost connection. Not confirmed at last, it means a
 * redelivery, which the handler's idempotency absorbs.
 */
async function acknowledge(message: Delivery, { bus, log }: ProcessOptions): Promise<void> {
  for (const timeoutMs of acknowledgeMs) {
    try {
      if (await isStillThere(bus, message)) await message.ack(timeoutMs);
      return;
    } catch (error) {
      log.debug({ subject: message.subject, err: error }, 'an acknowledgement was not confirmed');
    }
  }
}

/**
 * Whether an answer reaches the message that is meant. It names a place; a server that came back with less may have
 * another message there by now, which nobody has handled yet.
 */
async function isStillThere(bus: ProcessOptions['bus'], message: Delivery): Promise<boolean> {
  for (let { connection } = message; bus.connections !== connection || !bus.connected; ) {
    connection = bus.connections;
    const held = await bus.readMessage(message.stream, message.seq);
    if (!held || held.headers?.get('ce-id') !== message.headers?.get('ce-id')) return false;
  }
  return true;
}

async function giveUp(
  message: Delivery,
  death: { readonly code: string; readonly reason: string; readonly attempts: number },
  { bus, durable, log }: ProcessOptions,
): Promise<void> {
  try {
    await bury(bus, message, { ...death, durable });
    if (await isStillThere(bus, message)) message.term(death.code);
  } catch (error) {
    log.warn({ durable, err: error }, 'the dead letter could not be stored; trying again later');
    message.nak(5_000);
  }
}

/** Operators read dead letters: they get the message of an uncoded error, which callers of RPCs never see. */
function plainReason(caught: unknown, fallback: string): string {
  return caught instanceof Error ? caught.message : fallback;
}
