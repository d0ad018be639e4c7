import type { DescMessage } from '@bufbuild/protobuf';

/** The contexts that own events; each has one stream. */
export const contexts = ['tracking', 'registry', 'features', 'pipelines', 'serving', 'monitoring'] as const;
export type Context = (typeof contexts)[number];

/**
 * An entry of the event catalogue: a name, a message type, a stream and a version. What is published and what a
 * handler gets derive their types from it.
 */
export interface EventType<S extends DescMessage = DescMessage> {
  /** `millrace.<context>.<entity>.<event>.v<version>`: the CloudEvents type. */
  readonly type: string;
  readonly context: Context;
  /** What it is about, in snake_case: `alias`. */
  readonly entity: string;
  /** What happened, past tense, in snake_case: `moved`. */
  readonly event: string;
  /** Only additive change within a version. */
  readonly version: number;
  readonly schema: S;
}

/** Declares an event. `name` is `<entity>.<event>`, for example `alias.moved`. */
export function defineEvent<S extends DescMessage>(
  context: Context,
  name: string,
  schema: S,
  version = 1,
): EventType<S> {
  const match = /^([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)$/.exec(name);
  if (!match?.[1] || !match[2])
    throw new TypeError(`event name ${JSON.stringify(name)} is not <entity>.<event>`);
  const [, entity, event] = match;
  return { type: `millrace.${context}.${name}.v${version}`, context, entity, event, version, schema };
}

/** The NATS subject of an event in a project: `millrace.<project>.<context>.<entity>.<event>.v<version>`. */
export function subjectOf(type: EventType, project: string): string {
  return `millrace.${project}.${type.context}.${type.entity}.${type.event}.v${type.version}`;
}

/** The JetStream stream of a context, and the subjects it holds. */
export function streamOf(context: Context): { readonly name: string; readonly subjects: readonly string[] } {
  return { name: `MILLRACE_${context.toUpperCase()}`, subjects: [`millrace.*.${context}.>`] };
}
