import type { RecordedEvent } from '@millrace/documents';

/** How far a batch came. */
export interface Published {
  /** How many events from the start of the batch the stream has, without a hole. */
  readonly count: number;
  /** What stopped it before its end. */
  readonly error?: unknown;
}

/**
 * Publishes events with several in flight. They are sent in order; one about a resource that still has one in flight
 * waits for it, so that the order about one resource holds even when a publish is lost and sent again. After a
 * failure nothing more is started, and what is in flight is waited for.
 */
export async function publishInOrder(
  events: readonly RecordedEvent[],
  window: number,
  publishOne: (event: RecordedEvent) => Promise<void>,
): Promise<Published> {
  const inFlight = new Map<string, Promise<void>>();
  const done = new Uint8Array(events.length);
  const failures: unknown[] = [];
  for (const [index, event] of events.entries()) {
    await inFlight.get(event.resource);
    while (inFlight.size >= window) await Promise.race(inFlight.values());
    if (failures.length > 0) break;
    const sent = publishOne(event).then(
      () => {
        done[index] = 1;
        inFlight.delete(event.resource);
      },
      (error: unknown) => {
        failures.push(error);
        inFlight.delete(event.resource);
      },
    );
    inFlight.set(event.resource, sent);
  }
  await Promise.all(inFlight.values());
  const hole = done.indexOf(0);
  return {
    count: hole === -1 ? events.length : hole,
    ...(failures.length > 0 ? { error: failures[0] } : {}),
  };
}
