import type { RecordedEvent } from './port.ts';

/**
 * Most bytes of a page of events: with what surrounds them on the wire they stay below the 4 MiB that gRPC clients take
 * unless they are told otherwise.
 */
const maxPageBytes = 4_000_000;

/** Collects events of one page, the first of any size, then as many as have room. */
export function createEventPage() {
  const events: RecordedEvent[] = [];
  let bytes = 0;
  return {
    events: events as readonly RecordedEvent[],
    /** Takes an event, or answers false: the page is full, and the event belongs to the next. */
    add(event: RecordedEvent): boolean {
      bytes += sizeOf(event);
      if (events.length > 0 && bytes > maxPageBytes) return false;
      events.push(event);
      return true;
    },
  };
}

function sizeOf({ id, type, project, resource, traceparent = '', data }: RecordedEvent): number {
  return data.length + Buffer.byteLength(id + type + project + resource + traceparent);
}
