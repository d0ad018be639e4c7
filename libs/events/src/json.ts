import { type DescMessage, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { sourceOf, undecodable } from './cloud-events.ts';
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

/**
 * The JSON form of an event, for people, conditions and web clients. 64-bit numbers are strings, NaN is "NaN". Throws
 * EVENT_UNDECODABLE for what has none, such as a moment after the year 9999.
 */
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
    data: dataToJson(event.definition.schema, event.data),
  };
}

/** The JSON form of an event's data. Throws EVENT_UNDECODABLE. */
export function dataToJson(
  schema: DescMessage,
  data: Message,
  options: { readonly alwaysEmitImplicit?: boolean } = {},
): JsonValue {
  try {
    return toJson(schema, data, options);
  } catch (error) {
    throw undecodable(`the data has no JSON form: ${error instanceof Error ? error.message : String(error)}`);
  }
}
