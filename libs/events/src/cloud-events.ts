import { create, fromBinary, fromJson, type JsonValue, type Message } from '@bufbuild/protobuf';
import { type EventType, isProject } from '@millrace/contracts';
import { CodedError } from '@millrace/errors';
import type { EventAttributes } from './event.ts';
import { decodeHeaderValue, encodeHeaderValue } from './percent.ts';
import type { MessageHeaders } from './port.ts';

/** The attributes of an event and its data as they travel. */
export interface Envelope extends EventAttributes {
  /** `application/protobuf`, or `application/json` from publishers that have no protobuf. */
  readonly contentType: string;
  readonly data: Uint8Array;
}

/** The CloudEvents source of events of a type in a project: `/millrace/<context>/<project>`. */
export function sourceOf(type: string, project: string): string {
  return `/millrace/${type.split('.')[1] ?? ''}/${project}`;
}

/** Headers of CloudEvents 1.0 in NATS binary mode. `Nats-Msg-Id` is left to the publisher. */
export function encodeHeaders(event: EventAttributes): ReadonlyMap<string, string> {
  const attributes: Record<string, string> = {
    specversion: '1.0',
    id: event.id,
    source: sourceOf(event.type, event.project),
    type: event.type,
    subject: event.resource,
    time: new Date(event.timeMs).toISOString(),
    datacontenttype: 'application/protobuf',
    project: event.project,
  };
  if (event.sequence > 0) attributes.sequence = String(event.sequence);
  if (event.traceparent) attributes.traceparent = event.traceparent;
  const encoded = new Map<string, string>();
  for (const [name, value] of Object.entries(attributes)) encoded.set(`ce-${name}`, encodeHeaderValue(value));
  if (event.traceparent) encoded.set('traceparent', event.traceparent);
  return encoded;
}

/**
 * Reads a message as an event, in binary mode or, when its Content-Type says so, in structured JSON mode. Header
 * names are read whatever their case. Throws EVENT_UNDECODABLE.
 */
export function decodeMessage(found: MessageHeaders | undefined, data: Uint8Array): Envelope {
  const raw = new Map<string, string>();
  for (const key of found?.keys() ?? []) raw.set(key.toLowerCase(), found?.get(key) ?? '');
  const structured = raw.get('content-type')?.toLowerCase().startsWith('application/cloudevents');
  try {
    return structured ? fromStructured(data) : fromAttributes((name) => decoded(raw.get(`ce-${name}`)), data);
  } catch (error) {
    throw error instanceof CodedError ? error : undecodable(`not a CloudEvent: ${messageOf(error)}`);
  }
}

function decoded(value: string | undefined): string | undefined {
  return value === undefined ? undefined : decodeHeaderValue(value);
}

function fromStructured(bytes: Uint8Array): Envelope {
  const json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>;
  const read = (name: string) => (typeof json[name] === 'string' ? (json[name] as string) : undefined);
  const base64 = read('data_base64');
  if (base64 !== undefined) {
    const bytes = Buffer.from(base64, 'base64');
    // What is no base64 is passed over in silence; written again, it is not what it was.
    if (bytes.toString('base64') !== base64) fail('data_base64 is not base64');
    return fromAttributes(read, bytes);
  }
  const data = new TextEncoder().encode(JSON.stringify(json.data ?? {}));
  return fromAttributes((name) => (name === 'datacontenttype' ? 'application/json' : read(name)), data);
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const control = /\p{Cc}/u;
/** Ids are kept with what they changed. */
const maxIdLength = 1024;
const maxSubjectLength = 8192;

function fromAttributes(read: (name: string) => string | undefined, data: Uint8Array): Envelope {
  const required = (name: string) => read(name) || fail(`the attribute ${name} is missing`);
  const version = required('specversion');
  if (version !== '1.0') fail(`specversion is ${JSON.stringify(version)}, not "1.0"`);
  const time = read('time') ?? '';
  const timeMs = rfc3339.test(time) ? Date.parse(time) : Number.NaN;
  const sequence = Number(read('sequence') ?? 0);
  const project = read('project') || required('source').split('/').at(-1) || '';
  const traceparent = read('traceparent');
  if (!isProject(project)) fail(`${JSON.stringify(project)} is not a project`);
  if (Number.isNaN(timeMs)) fail('the attribute time is missing or not RFC 3339');
  const id = required('id');
  if (id.length > maxIdLength || control.test(id))
    fail(`the id has control characters or more than ${maxIdLength} characters`);
  const resource = read('subject') ?? '';
  if (resource.length > maxSubjectLength) fail(`the subject has more than ${maxSubjectLength} characters`);
  return {
    id,
    type: required('type'),
    project,
    resource,
    timeMs,
    sequence: Number.isSafeInteger(sequence) && sequence > 0 ? sequence : 0,
    ...(traceparent ? { traceparent } : {}),
    contentType: read('datacontenttype') ?? 'application/protobuf',
    data,
  };
}

/** Decodes the data of an event by its entry in the catalogue. Throws EVENT_UNDECODABLE. */
export function decodeData(definition: EventType, envelope: Envelope): Message {
  const { schema } = definition;
  try {
    if (/^application\/(.+\+)?json\b/i.test(envelope.contentType)) {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(envelope.data);
      return fromJson(schema, JSON.parse(text) as JsonValue, { ignoreUnknownFields: true });
    }
    return envelope.data.length === 0 ? create(schema) : fromBinary(schema, envelope.data);
  } catch (error) {
    throw undecodable(`the data is not a ${schema.typeName}: ${messageOf(error)}`);
  }
}

/** An error that says why a message is not an event. */
export function undecodable(reason: string): CodedError {
  return new CodedError('invalid_argument', 'EVENT_UNDECODABLE', reason);
}

function fail(reason: string): never {
  throw undecodable(`not a CloudEvent: ${reason}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
