import { type DescMessage, type JsonValue, type Message, ScalarType, toJson } from '@bufbuild/protobuf';
import { isCoded } from '@millrace/errors';
import type { AnyEvent } from '@millrace/events';
import type { Expressions } from './domain/expression.ts';
import type { Json } from './domain/json.ts';
import { decideTrigger, type Trigger, type TriggerEvent } from './domain/trigger.ts';
import { sha256 } from './engine/work.ts';
import type { StartRun } from './start-run.ts';
import { originKey } from './store/collections.ts';
import { triggerFired } from './store/events.ts';
import type { Store } from './store/store.ts';

export interface TriggersDeps {
  readonly store: Store;
  readonly expressions: Expressions;
  readonly startRun: StartRun;
  readonly now: () => number;
}

/** The run of a trigger for an event: one id, so never two runs. */
const triggeredRunId = (of: Pick<Trigger, 'project' | 'name'>, eventId: string): string =>
  sha256(`${of.project}/${of.name}#${eventId}`).slice(0, 32);

/** The event that tells what a trigger made of an event: one id, so it is told once. */
const answerId = (of: Pick<Trigger, 'project' | 'name'>, eventId: string): string =>
  sha256(`answer of ${of.project}/${of.name}#${eventId}`).slice(0, 32);

/** Shows an event to every trigger of its type. Showing it again starts nothing again. */
export async function handleEvent(deps: TriggersDeps, event: AnyEvent): Promise<void> {
  const { store } = deps;
  let shown: TriggerEvent | undefined;
  let after: string | undefined;
  do {
    const page = await store.triggers.find({
      where: { project: event.project, eventType: event.type },
      limit: 100,
      ...(after === undefined ? {} : { after }),
    });
    for (const { doc } of page.items) {
      const { id, type, project, resource, timeMs } = event;
      shown ??= { id, type, project, resource, timeMs, data: eventData(event.definition.schema, event.data) };
      await fire(deps, doc, shown);
    }
    after = page.next;
  } while (after !== undefined);
}

async function fire(
  { store, expressions, startRun, now }: TriggersDeps,
  trigger: Trigger,
  event: TriggerEvent,
): Promise<void> {
  const { project, name, pipeline } = trigger;
  // A trigger remembers its newest causes only, and a stream may be filled again with everything: the record knows more.
  const answer = answerId(trigger, event.id);
  if (await store.documents.events.has(answer)) return;
  const id = triggeredRunId(trigger, event.id);
  const done = await store.runs.get(`${project}/${id}`);
  const open = await store.openRunsOf(originKey({ project, origin: { kind: 'trigger', source: name } }));
  const decision = decideTrigger(
    trigger,
    event,
    open.filter((run) => run.id !== id).length,
    expressions,
    now(),
  );
  // Delivered again after the run was started: only what was not written down is made up for.
  let run = done?.doc.id;
  let { reason } = done ? { reason: 'the event matched' } : decision;
  if (!done && decision.do === 'nothing') return;
  if (!done && decision.do === 'fire') {
    try {
      const made = await startRun({
        project,
        id,
        pipeline,
        version: 0,
        parameters: decision.parameters,
        tags: [],
        noCache: false,
        origin: { kind: 'trigger', source: name, eventId: event.id },
      });
      run = made.run.doc.id;
    } catch (error) {
      if (!isCoded(error, 'not_found') && !isCoded(error, 'invalid_argument')) throw error;
      reason = error.message;
    }
  }
  await store.triggers.change(
    `${project}/${name}`,
    (doc) => ({
      doc: {
        ...doc,
        lastReason: reason,
        ...(run === undefined ? {} : { lastFireAtMs: now(), lastRun: run, fireCount: doc.fireCount + 1 }),
      },
      emit: [triggerFired(doc, event, { id: answer, run, reason, timeMs: now() })],
    }),
    { cause: event.id },
  );
}

/** An event's message as conditions see it: protobuf's JSON form with defaults, and 64-bit integers as numbers. */
export function eventData(schema: DescMessage, data: Message): Json {
  const json = toJson(schema, data as never, { alwaysEmitImplicit: true });
  return numbered(schema, json) as Json;
}

const wide: readonly ScalarType[] = [
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
];

/** The JSON form writes 64-bit integers as texts; here they become numbers again. */
function numbered(schema: DescMessage, json: JsonValue): JsonValue {
  if (
    schema.typeName.startsWith('google.protobuf.') ||
    typeof json !== 'object' ||
    json === null ||
    Array.isArray(json)
  )
    return json;
  const result: { [key: string]: JsonValue } = { ...json };
  for (const field of schema.fields) {
    const value = result[field.jsonName];
    if (value === undefined || value === null) continue;
    const each = (one: JsonValue): JsonValue => {
      if (field.message) return numbered(field.message, one);
      return field.scalar !== undefined && wide.includes(field.scalar) ? Number(one) : one;
    };
    if (field.fieldKind === 'list') result[field.jsonName] = (value as JsonValue[]).map(each);
    else if (field.fieldKind !== 'map') result[field.jsonName] = each(value);
  }
  return result;
}
