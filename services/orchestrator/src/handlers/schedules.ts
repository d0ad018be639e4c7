import { names } from '@millrace/contracts';
import {
  ApplyScheduleRequestSchema,
  ApplyScheduleResponseSchema,
  DeleteScheduleRequestSchema,
  DeleteScheduleResponseSchema,
  type Schedule as Message,
  PauseScheduleRequestSchema,
  PauseScheduleResponseSchema,
  ScheduleService,
} from '@millrace/contracts/pipelines';
import { invalidField, invalidFields, notFound } from '@millrace/errors';
import { implement } from '@millrace/rpc';
import { expectOf, pageOf } from '@millrace/service';
import { scheduleMessage } from '../convert/schedule.ts';
import { catchUpOf, overlapOf, wordFor } from '../convert/states.ts';
import { parametersOf } from '../convert/value.ts';
import { createCron } from '../cron.ts';
import { completeParameters } from '../domain/parameters.ts';
import type { Schedule } from '../domain/schedule.ts';
import { scheduleApplied, scheduleDeleted } from '../store/events.ts';
import { type Edge, markOf, once } from './edge.ts';
import { pipelineFor } from './target.ts';

/** The RPCs of schedules. */
export function scheduleHandlers(edge: Edge) {
  const { store, now } = edge;

  async function wanted(message: Message | undefined): Promise<Schedule> {
    const { project, schedule: name } = names.schedule.parse(message?.name ?? '', 'schedule.name');
    if (!message) throw invalidField('schedule', 'it is not set', 'a schedule');
    const pipeline = await pipelineFor(store, project, message.pipeline, 'schedule.pipeline');
    const timeZone = message.timeZone || 'UTC';
    const next = createCron(message.cron, timeZone);
    const parameters = parametersOf(message.parameters, 'schedule.parameters');
    const { timeParameter } = message;
    const time = timeParameter ? [{ name: timeParameter, value: new Date(now()).toISOString() }] : [];
    const completed = completeParameters(pipeline.spec, [...parameters, ...time], 'schedule.parameters');
    if ('violations' in completed) throw invalidFields(completed.violations);
    const at = now();
    return {
      project,
      name,
      pipeline: pipeline.name,
      cron: message.cron,
      timeZone,
      parameters,
      timeParameter,
      catchUp: wordFor(catchUpOf, message.catchUp) ?? 'last',
      maxCatchUp: message.maxCatchUp || 100,
      overlap: wordFor(overlapOf, message.overlap) ?? 'skip',
      paused: message.paused,
      decidedUpToMs: at,
      nextAtMs: message.paused ? null : (next(at) ?? null),
      lastReason: '',
      createdAtMs: at,
      updatedAtMs: at,
    };
  }

  return implement(ScheduleService, {
    async applySchedule(request, context) {
      const fresh = await wanted(request.schedule);
      const { project, name } = fresh;
      const { expect } = expectOf(request.schedule?.etag ?? '', 'schedule.etag');
      const schemas = { input: ApplyScheduleRequestSchema, output: ApplyScheduleResponseSchema };
      return once(edge, context, project, schemas, request, async (mutation) => {
        const id = `${project}/${name}`;
        const change = (doc: Schedule | undefined) => {
          const next = doc ? appliedAgain(doc, fresh, now()) : fresh;
          return { doc: next, emit: [scheduleApplied(next, now())] };
        };
        const made =
          expect === undefined
            ? await store.schedules.upsert(id, change, markOf(mutation))
            : await store.schedules.change(id, change, { expect, ...markOf(mutation) });
        return { schedule: scheduleMessage(made!.doc, made!.version) };
      });
    },

    async getSchedule({ name }) {
      const of = names.schedule.parse(name);
      const found = await store.schedules.get(`${of.project}/${of.schedule}`);
      if (!found) throw notFound(name);
      return { schedule: scheduleMessage(found.doc, found.version) };
    },

    async listSchedules(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const page = await store.schedules.find({
        where: { project },
        orderBy: [{ field: 'name' }],
        ...pageOf(request),
      });
      return {
        schedules: page.items.map((item) => scheduleMessage(item.doc, item.version)),
        nextPageToken: page.next ?? '',
      };
    },

    async pauseSchedule(request, context) {
      const of = names.schedule.parse(request.name);
      const schemas = { input: PauseScheduleRequestSchema, output: PauseScheduleResponseSchema };
      return once(edge, context, of.project, schemas, request, async (mutation) => {
        const { paused } = request;
        const id = `${of.project}/${of.schedule}`;
        const changed = await store.schedules.change(
          id,
          (doc) => {
            if (doc.paused === paused) return undefined;
            const at = now();
            const next = { ...doc, paused, ...restarted({ ...doc, paused }, at), updatedAtMs: at };
            return { doc: next, emit: [scheduleApplied(next, at)] };
          },
          { ...expectOf(request.etag), ...markOf(mutation) },
        );
        return { schedule: scheduleMessage(changed.doc, changed.version) };
      });
    },

    async deleteSchedule(request, context) {
      const of = names.schedule.parse(request.name);
      const schemas = { input: DeleteScheduleRequestSchema, output: DeleteScheduleResponseSchema };
      return once(edge, context, of.project, schemas, request, async (mutation) => {
        const id = `${of.project}/${of.schedule}`;
        if (!(await store.schedules.get(id))) throw notFound(request.name);
        const emit = [scheduleDeleted({ project: of.project, name: of.schedule }, mutation.id, now())];
        await store.schedules.remove(id, { ...expectOf(request.etag), emit });
        return {};
      });
    },
  });
}

/**
 * A schedule as it is when it is applied anew: what it has done stays. Times that passed are still decided on, unless
 * they passed under another cron or while it rested.
 */
function appliedAgain(doc: Schedule, fresh: Schedule, nowMs: number): Schedule {
  const { createdAtMs, lastReason, lastRun, lastTimeMs, starting, bufferedMs } = doc;
  const sameTimes = doc.cron === fresh.cron && doc.timeZone === fresh.timeZone;
  const { decidedUpToMs, nextAtMs } =
    sameTimes && !doc.paused && !fresh.paused ? doc : restarted(fresh, nowMs);
  return {
    ...fresh,
    createdAtMs,
    lastReason,
    decidedUpToMs,
    nextAtMs,
    ...(lastRun === undefined ? {} : { lastRun }),
    ...(lastTimeMs === undefined ? {} : { lastTimeMs }),
    ...(starting === undefined ? {} : { starting }),
    ...(sameTimes && bufferedMs !== undefined ? { bufferedMs } : {}),
  };
}

/** From when on its times count, and the first of them. */
function restarted({ cron, timeZone, paused }: Schedule, nowMs: number) {
  return { decidedUpToMs: nowMs, nextAtMs: paused ? null : (createCron(cron, timeZone)(nowMs) ?? null) };
}
