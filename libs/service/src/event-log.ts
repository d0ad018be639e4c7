import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { EventLogService } from '@millrace/contracts/common';
import type { DocumentStore, RecordedEvent } from '@millrace/documents';
import { type Implementation, implement } from '@millrace/rpc';
import { watchEvents } from './watch.ts';

/** Sequence numbers, both ends included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Publishes what the stream lacks of a range; answers how many, and how many the stream still had. */
export type Republish = (range: Range) => Promise<{ readonly published: number; readonly present: number }>;

/** The record of a service's events, which every service serves. */
export function eventLog(store: DocumentStore, republish: Republish): Implementation {
  return implement(EventLogService, {
    async listEvents(request) {
      const events = await store.events.read({
        after: positionOf(request.afterSequence),
        limit: Math.min(request.pageSize || 100, 1000),
        ...filterOf(request),
      });
      const last = events.at(-1)?.sequence ?? positionOf(request.afterSequence);
      const newest = await store.events.last();
      return { events: events.map(toMessage), lastSequence: BigInt(last), newestSequence: BigInt(newest) };
    },
    async *watchEvents(request, context) {
      const start = request.onlyNew ? {} : { after: positionOf(request.afterSequence) };
      for await (const event of watchEvents(store, {
        signal: context.signal,
        ...start,
        ...filterOf(request),
      })) {
        yield { event: toMessage(event) };
      }
    },
    async replayEvents(request) {
      const last = await store.events.last();
      const to = request.toSequence === 0n ? last : Math.min(Number(request.toSequence), last);
      const { published, present } = await republish({ from: Number(request.fromSequence), to });
      return { published: BigInt(published), duplicates: BigInt(present) };
    },
  });
}

/** Stores count in safe integers; after a greater number there is nothing either. */
function positionOf(sequence: bigint): number {
  return Math.min(Number(sequence), Number.MAX_SAFE_INTEGER);
}

function filterOf(request: { readonly project: string; readonly types: readonly string[] }) {
  return {
    ...(request.project ? { project: request.project } : {}),
    ...(request.types.length > 0 ? { types: request.types } : {}),
  };
}

function toMessage(event: RecordedEvent) {
  return {
    sequence: BigInt(event.sequence),
    id: event.id,
    type: event.type,
    project: event.project,
    resource: event.resource,
    time: timestampFromMs(event.timeMs),
    data: event.data,
    traceparent: event.traceparent ?? '',
  };
}
