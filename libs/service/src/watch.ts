import type { DocumentStore, RecordedEvent } from '@millrace/documents';
import { pause } from './pause.ts';

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Start after this sequence number; without one, with what happens from now on. */
  readonly after?: number;
  readonly project?: string;
  readonly types?: readonly string[];
}

const pageSize = 500;
/** How often the log is read when nothing in this process woke the watch: another replica may have written. */
const pollMs = 500;

/**
 * Follows a store's event log: what was recorded after a point, then what happens, until the signal aborts. A watch that
 * filters keeps its place also when nothing fits.
 */
export async function* watchEvents(
  store: DocumentStore,
  options: WatchOptions,
): AsyncGenerator<RecordedEvent> {
  const { signal, after, ...filter } = options;
  let news = true;
  let wake = () => {};
  const forget = store.events.onCommit(() => {
    news = true;
    wake();
  });
  try {
    let position = after ?? (await store.events.last());
    while (!signal.aborted) {
      news = false;
      // The newest number is read first: what is recorded between the two reads is seen in the next round.
      const last = await store.events.last();
      const page = await store.events.read({ after: position, limit: pageSize, ...filter });
      for (const event of page) {
        yield event;
        position = event.sequence;
      }
      // A page may end before what fits does: only an empty one says that nothing fits up to the newest number.
      if (page.length > 0 && position < last) continue;
      position = Math.max(position, last);
      if (!news) {
        await pause(pollMs, signal, (wakeUp) => {
          wake = wakeUp;
        });
      }
    }
  } finally {
    forget();
  }
}
