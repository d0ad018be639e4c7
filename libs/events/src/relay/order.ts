import type { RecordedEvent } from '@millrace/documents';
import { isCoded } from '@millrace/errors';

/** How far a batch came. */
export interface Published {
  /** How many events from the start of the batch the stream has, without a hole. */
  readonly count: number;
  /** What stopped it before its end. */
  readonly error?: unknown;
}

/** Publishes one event; with `after`, only right behind the event of that id: otherwise OUT_OF_ORDER. */
export type PublishOne = (event: RecordedEvent, after: string | undefined) => Promise<void>;

/**
 * Publishes events in order with several in flight. Each names the one before it while nobody knows whether the stream
 * has that one: when it was lost, or something else came between, the stream takes none of those behind it, and each is
 * sent again once the one before it is there. After a failure nothing more is started, and what is in flight is waited for.
 */
export async function publishInOrder(
  events: readonly RecordedEvent[],
  window: number,
  publishOne: PublishOne,
): Promise<Published> {
  const sent: Promise<boolean>[] = [];
  const done = new Uint8Array(events.length);
  const failures: unknown[] = [];

  /** False when what was before it did not get there. */
  async function publish(index: number): Promise<boolean> {
    const event = events[index]!;
    if (index > 0 && !done[index - 1]) {
      try {
        await publishOne(event, events[index - 1]!.id);
        return true;
      } catch (error) {
        if (!isCoded(error, 'OUT_OF_ORDER')) throw error;
      }
      if (!(await sent[index - 1])) return false;
    }
    await publishOne(event, undefined);
    return true;
  }

  for (let index = 0; index < events.length; index++) {
    if (index >= window) await sent[index - window];
    if (failures.length > 0) break;
    const one = publish(index).catch((error: unknown) => {
      failures.push(error);
      return false;
    });
    sent.push(
      one.then((isThere) => {
        done[index] = isThere ? 1 : 0;
        return isThere;
      }),
    );
  }
  await Promise.all(sent);
  const hole = done.indexOf(0);
  return {
    count: hole === -1 ? events.length : hole,
    ...(failures.length > 0 ? { error: failures[0] } : {}),
  };
}
