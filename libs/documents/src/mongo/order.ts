import type { AnyCollectionSpec } from '../port.ts';
import type { PendingEvent, Stored } from './stored.ts';

/** What one look at a collection showed: documents with waiting events, those with the oldest first. */
export interface Moment {
  readonly spec: AnyCollectionSpec;
  readonly documents: readonly Pick<Stored, '_id' | 'out' | 'gone' | 'born'>[];
  /** False when there are more. */
  readonly complete: boolean;
}

interface Pending {
  readonly moment: Moment;
  readonly document: Moment['documents'][number];
  readonly event: PendingEvent;
  /** Its place among the events of all documents. */
  readonly place: string;
}

/**
 * Which waiting events may be moved now, in commit order. There is no transaction to look at all collections at one
 * moment, so they are looked at twice: whatever was acknowledged before an event of the first look was written is
 * seen by the second. Events no newer than the newest of the first look are therefore complete, up to the difference
 * between the clocks of processes that write different documents; events of one document keep their order always.
 */
export function orderPending(first: readonly Moment[], second: readonly Moment[]): Pending[] {
  let limit = '';
  for (const { place } of first.flatMap(placed)) if (place > limit) limit = place;
  for (const moment of second) {
    if (moment.complete) continue;
    // Documents beyond the last one seen have no event older than its oldest.
    const oldest = oldestStamp(moment.documents.at(-1));
    if (oldest < limit) limit = oldest;
  }
  return second
    .flatMap(placed)
    .filter(({ place }) => place <= limit)
    .sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
}

/** The events of a look, each with its place: its own stamp, or that of an earlier event of its document if greater. */
function placed(moment: Moment): Pending[] {
  return moment.documents.flatMap((document) => {
    let place = '';
    return document.out.map((event) => {
      if (event.stamp > place) place = event.stamp;
      return { moment, document, event, place };
    });
  });
}

function oldestStamp(document: Moment['documents'][number] | undefined): string {
  const stamps = (document?.out ?? []).map((event) => event.stamp);
  return stamps.sort()[0] ?? '';
}
