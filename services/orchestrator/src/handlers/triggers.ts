import { catalogue, names } from '@millrace/contracts';
import {
  ApplyTriggerRequestSchema,
  ApplyTriggerResponseSchema,
  DeleteTriggerRequestSchema,
  DeleteTriggerResponseSchema,
  type Trigger as Message,
  PauseTriggerRequestSchema,
  PauseTriggerResponseSchema,
  TriggerService,
} from '@millrace/contracts/pipelines';
import { invalidField, invalidFields, notFound } from '@millrace/errors';
import { implement } from '@millrace/rpc';
import { expectOf, pageOf } from '@millrace/service';
import { triggerMessage } from '../convert/trigger.ts';
import { jsonOf, msOf } from '../convert/value.ts';
import type { Expressions } from '../domain/expression.ts';
import { completeParameters } from '../domain/parameters.ts';
import type { PipelineSpec } from '../domain/spec.ts';
import type { Trigger } from '../domain/trigger.ts';
import { triggerApplied, triggerDeleted } from '../store/events.ts';
import { type Edge, markOf, once } from './edge.ts';
import { pipelineFor } from './target.ts';

/** The RPCs of triggers; `onChange` is called when the types to listen to may have changed. */
export function triggerHandlers(edge: Edge, onChange: () => void) {
  const { store, expressions, now } = edge;

  async function wanted(message: Message | undefined): Promise<Trigger> {
    const { project, trigger: name } = names.trigger.parse(message?.name ?? '', 'trigger.name');
    if (!message) throw invalidField('trigger', 'it is not set', 'a trigger');
    const pipeline = await pipelineFor(store, project, message.pipeline, 'trigger.pipeline');
    if (!catalogue.has(message.eventType))
      throw invalidField(
        'trigger.event_type',
        `${JSON.stringify(message.eventType)} is no type of event`,
        `one of ${[...catalogue.keys()].join(', ')}`,
      );
    if (message.condition) checkExpression(expressions, message.condition, 'trigger.condition');
    const parameters = mappingsOf(message, expressions);
    checkParameters(pipeline.spec, parameters);
    const at = now();
    return {
      project,
      name,
      pipeline: pipeline.name,
      eventType: message.eventType,
      resource: message.resource,
      condition: message.condition,
      parameters,
      coolDownMs: msOf(message.coolDown, 0, 'trigger.cool_down'),
      maxConcurrentRuns: message.maxConcurrentRuns,
      paused: message.paused,
      activeSinceMs: at,
      lastReason: '',
      fireCount: 0,
      createdAtMs: at,
      updatedAtMs: at,
    };
  }

  return implement(TriggerService, {
    async applyTrigger(request, context) {
      const fresh = await wanted(request.trigger);
      const { project, name } = fresh;
      const { expect } = expectOf(request.trigger?.etag ?? '', 'trigger.etag');
      const schemas = { input: ApplyTriggerRequestSchema, output: ApplyTriggerResponseSchema };
      const answer = await once(edge, context, project, schemas, request, async (mutation) => {
        const id = `${project}/${name}`;
        const change = (doc: Trigger | undefined) => {
          const since = doc && !doc.paused && listensAlike(doc, fresh) ? doc.activeSinceMs : now();
          const { lastReason, fireCount, createdAtMs, lastRun, lastFireAtMs, starting } = doc ?? fresh;
          const next: Trigger = {
            ...fresh,
            activeSinceMs: since,
            lastReason,
            fireCount,
            createdAtMs,
            ...(lastRun === undefined ? {} : { lastRun }),
            ...(starting === undefined ? {} : { starting }),
            ...(lastFireAtMs === undefined ? {} : { lastFireAtMs }),
          };
          return { doc: next, emit: [triggerApplied(next, now())] };
        };
        const made =
          expect === undefined
            ? await store.triggers.upsert(id, change, markOf(mutation))
            : await store.triggers.change(id, change, { expect, ...markOf(mutation) });
        return { trigger: triggerMessage(made!.doc, made!.version) };
      });
      onChange();
      return answer;
    },

    async getTrigger({ name }) {
      const of = names.trigger.parse(name);
      const found = await store.triggers.get(`${of.project}/${of.trigger}`);
      if (!found) throw notFound(name);
      return { trigger: triggerMessage(found.doc, found.version) };
    },

    async listTriggers(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const page = await store.triggers.find({
        where: { project },
        orderBy: [{ field: 'name' }],
        ...pageOf(request),
      });
      return {
        triggers: page.items.map((item) => triggerMessage(item.doc, item.version)),
        nextPageToken: page.next ?? '',
      };
    },

    async pauseTrigger(request, context) {
      const of = names.trigger.parse(request.name);
      const schemas = { input: PauseTriggerRequestSchema, output: PauseTriggerResponseSchema };
      const answer = await once(edge, context, of.project, schemas, request, async (mutation) => {
        const { paused } = request;
        const changed = await store.triggers.change(
          `${of.project}/${of.trigger}`,
          (doc) => {
            if (doc.paused === paused) return undefined;
            const at = now();
            const next = { ...doc, paused, updatedAtMs: at, ...(paused ? {} : { activeSinceMs: at }) };
            return { doc: next, emit: [triggerApplied(next, at)] };
          },
          { ...expectOf(request.etag), ...markOf(mutation) },
        );
        return { trigger: triggerMessage(changed.doc, changed.version) };
      });
      onChange();
      return answer;
    },

    async deleteTrigger(request, context) {
      const of = names.trigger.parse(request.name);
      const schemas = { input: DeleteTriggerRequestSchema, output: DeleteTriggerResponseSchema };
      const answer = await once(edge, context, of.project, schemas, request, async (mutation) => {
        const id = `${of.project}/${of.trigger}`;
        if (!(await store.triggers.get(id))) throw notFound(request.name);
        const emit = [triggerDeleted({ project: of.project, name: of.trigger }, mutation.id, now())];
        await store.triggers.remove(id, { ...expectOf(request.etag), emit });
        return {};
      });
      onChange();
      return answer;
    },
  });
}

/** Whether the same events matter to both: an event that did not leaves no trace, and may be delivered once more. */
function listensAlike(one: Trigger, other: Trigger): boolean {
  return (
    one.eventType === other.eventType && one.resource === other.resource && one.condition === other.condition
  );
}

function checkExpression(expressions: Expressions, text: string, field: string): void {
  const compiled = expressions.compile(text);
  if ('error' in compiled) throw invalidField(field, compiled.error, 'a CEL expression over event');
  const unknown = compiled.variables.find((name) => name !== 'event');
  if (unknown !== undefined)
    throw invalidField(field, `${JSON.stringify(unknown)} is not a variable`, 'event');
}

function mappingsOf(message: Message, expressions: Expressions): Trigger['parameters'] {
  return message.parameters.map(({ name, source }, i) => {
    const field = `trigger.parameters[${i}]`;
    if (source.case === 'value') return { name, value: jsonOf(source.value, `${field}.value`) };
    if (source.case !== 'expression') throw invalidField(field, 'it has no source', 'value or expression');
    checkExpression(expressions, source.value, `${field}.expression`);
    return { name, expression: source.value };
  });
}

/** Names and fixed values are checked now; the values of expressions when an event comes. */
function checkParameters(spec: PipelineSpec, parameters: Trigger['parameters']): void {
  const mapped = new Set(parameters.filter((p) => 'expression' in p).map((p) => p.name));
  const open = {
    ...spec,
    parameters: spec.parameters.map((p) => (mapped.has(p.name) ? { ...p, type: 'json' as const } : p)),
  };
  const given = parameters.map((p) => ({ name: p.name, value: 'value' in p ? p.value : null }));
  const completed = completeParameters(open, given, 'trigger.parameters');
  if ('violations' in completed) throw invalidFields(completed.violations);
}
