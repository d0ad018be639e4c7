import { type DescMessage, type JsonValue, type Message, ScalarType } from '@bufbuild/protobuf';
import { isCoded } from '@millrace/errors';
import { type AnyEvent, dataToJson } from '@millrace/events';
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

/**
 * Decides on the trigger as it is, writes that down, and only then starts the run: of deliveries side by side one
 * decides, and what a process that died had decided is done by the next one.
 */
async function fire(
  deps: TriggersDeps,
  { project, name }: Pick<Trigger, 'project' | 'name'>,
  event: TriggerEvent,
): Promise<void> {
  const { store, expressions, now } = deps;
  const id = `${project}/${name}`;
  const answer = answerId({ project, name }, event.id);
  for (;;) {
    const held = await store.triggers.get(id);
    if (!held) return;
    if (held.doc.starting) {
      await start(deps, held.doc, held.doc.starting);
      continue;
    }
    // A trigger remembers its newest causes only, and a stream may be filled again with everything: the record knows more.
    if (await store.documents.events.has(answer)) return;
    const open = await store.openRunsOf(originKey({ project, origin: { kind: 'trigger', source: name } }));
    const at = now();
    const decision = decideTrigger(held.doc, event, open.length, expressions, at);
    if (decision.do === 'nothing') return;
    try {
      const { reason } = decision;
      const changed = await store.triggers.change(
        id,
        (doc) =>
          decision.do === 'fire'
            ? { doc: { ...doc, starting: { eventId: event.id, parameters: decision.parameters, atMs: at } } }
            : {
                doc: { ...doc, lastReason: reason },
                emit: [triggerFired(doc, event.id, { id: answer, run: undefined, reason, timeMs: at })],
              },
        { cause: event.id, expect: held.version },
      );
      if (changed.version === held.version) return;
    } catch (error) {
      // Another delivery was faster: what is true now decides.
      if (!isCoded(error, 'VERSION_CONFLICT')) throw error;
    }
  }
}

/** Starts the run that was decided upon, and tells of it. */
async function start(
  { store, startRun, now }: TriggersDeps,
  trigger: Trigger,
  starting: NonNullable<Trigger['starting']>,
): Promise<void> {
  const { project, name, pipeline } = trigger;
  const { eventId, parameters, atMs } = starting;
  let run: string | undefined;
  let reason = 'the event matched';
  try {
    const made = await startRun({
      project,
      id: triggeredRunId(trigger, eventId),
      pipeline,
      version: 0,
      parameters,
      tags: [],
      noCache: false,
      origin: { kind: 'trigger', source: name, eventId },
    });
    run = made.run.doc.id;
  } catch (error) {
    if (!isCoded(error, 'not_found') && !isCoded(error, 'invalid_argument')) throw error;
    reason = error.message;
  }
  await store.triggers.change(`${project}/${name}`, (doc) => {
    if (doc.starting?.eventId !== eventId) return undefined;
    const { starting: _, ...rest } = doc;
    return {
      doc: {
        ...rest,
        lastReason: reason,
        ...(run === undefined ? {} : { lastFireAtMs: atMs, lastRun: run, fireCount: doc.fireCount + 1 }),
      },
      emit: [triggerFired(doc, eventId, { id: answerId(doc, eventId), run, reason, timeMs: now() })],
    };
  });
}

/** An event's message as conditions see it: protobuf's JSON form with defaults, and 64-bit integers as numbers. */
export function eventData(schema: DescMessage, data: Message): Json {
  const json = dataToJson(schema, data, { alwaysEmitImplicit: true });
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
