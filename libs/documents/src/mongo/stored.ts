import type { Binary } from 'mongodb';
import { decode } from '../codec.ts';
import { newId } from '../id.ts';
import type { EventDraft, RecordedEvent, Versioned } from '../port.ts';

/** A document as MongoDB holds it. One write changes all of it, so nothing needs a transaction. */
export interface Stored {
  readonly _id: string;
  readonly version: number;
  /** New at every insertion, so that a write meant for a removed document does not meet its successor. */
  readonly born: string;
  readonly created: number;
  readonly updated: number;
  readonly doc: string;
  readonly bytes: Buffer | Binary | null;
  /** The index keys of the declared fields. */
  readonly f: Readonly<Record<string, string>>;
  /** Which fields were declared when `f` was computed. */
  readonly fields: string;
  /** The newest causes and request ids. */
  readonly marks: readonly string[];
  /** The newest writes, by which a write whose answer was lost finds out whether it was done. */
  readonly writes: readonly string[];
  /** Events not yet moved to the log, in the order of the document's changes. */
  readonly out: readonly PendingEvent[];
  /** Removed, and kept only until its last events are moved. */
  readonly gone?: true;
}

/** A projection: what only writes need to see. */
export const withoutLists = { out: 0, marks: 0, writes: 0 } as const;

/** An event of a change, as it waits in its document. */
export interface PendingEvent extends StoredDraft {
  /** Taken just before the write, increasing within a process: orders events of different documents. */
  readonly stamp: string;
}

interface StoredDraft {
  readonly id: string;
  readonly type: string;
  readonly project: string;
  readonly resource: string;
  readonly time: number;
  readonly data: Buffer | Binary;
  readonly traceparent?: string;
}

/** An event in the log; the key is its sequence number. */
export interface StoredEvent extends StoredDraft {
  readonly _id: number;
}

export function toVersioned<T>(stored: Stored): Versioned<T> {
  return {
    id: stored._id,
    // A copy: the driver gives views of the whole answer that the document came in.
    doc: decode(stored.doc, stored.bytes && Uint8Array.from(toBytes(stored.bytes))) as T,
    version: stored.version,
    createdAtMs: stored.created,
    updatedAtMs: stored.updated,
  };
}

export function toPending(event: EventDraft): PendingEvent {
  const { id, type, project, resource, timeMs, data, traceparent } = event;
  const pending = { stamp: newId(), id, type, project, resource, time: timeMs, data: Buffer.from(data) };
  return traceparent === undefined ? pending : { ...pending, traceparent };
}

export function toStoredEvent(sequence: number, event: PendingEvent): StoredEvent {
  const { stamp: _, ...rest } = event;
  return { _id: sequence, ...rest };
}

export function toEvent(stored: StoredEvent): RecordedEvent {
  const { _id: sequence, time: timeMs, data, ...rest } = stored;
  return { ...rest, sequence, timeMs, data: Uint8Array.from(toBytes(data)) };
}

function toBytes(binary: Buffer | Binary): Uint8Array {
  return binary instanceof Uint8Array ? binary : binary.buffer;
}
