import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { sourceOf } from './cloud-events.ts';
import type { AnyEvent } from './event.ts';

/** The JSON form of an event: CloudEvents 1.0, with the data in protobuf's JSON form. */
export type EventJson = {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly project: string;
  readonly sequence: number;
  readonly traceparent?: string;
  readonly data: JsonValue;
};

/** The JSON form of an event, for people, conditions and web clients. 64-bit numbers are strings, NaN is "NaN". */
export function eventToJson(event: Omit<AnyEvent, 'attempt'>): EventJson {
  return {
    specversion: '1.0',
    id: event.id,
    source: sourceOf(event.type, event.project),
    type: event.type,
    subject: event.resource,
    time: new Date(event.timeMs).toISOString(),
    project: event.project,
    sequence: event.sequence,
    ...(event.traceparent ? { traceparent: event.traceparent } : {}),
    data: toJson(event.definition.schema, event.data),
  };
}
