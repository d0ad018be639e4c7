import { fromBinary } from '@bufbuild/protobuf';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import type { DocumentStore, RecordedEvent } from '@millrace/documents';
import { runStateOf, taskStateOf, wordFor } from '../../src/convert/states.ts';
import { createCron } from '../../src/cron.ts';
import type { Store } from '../../src/store/store.ts';
import type { Monitor } from './monitor.ts';

export interface RecordOptions {
  readonly documents: DocumentStore;
  readonly store: Store;
  readonly monitor: Monitor;
  onBreach(breach: string): void;
}

/** Whether the record of events tells the same as the documents, once all is done. */
export async function checkRecord({ documents, store, monitor, onBreach }: RecordOptions): Promise<void> {
  const events = await documents.events.read({ after: 0, limit: 1_000_000 });
  checkStates(events, monitor, onBreach);
  await checkSchedules(events, store, monitor, onBreach);
  checkTriggers(events, monitor, onBreach);
}

/** Each resource's changes follow one another without a gap, and lead to what its document says. */
function checkStates(events: readonly RecordedEvent[], monitor: Monitor, onBreach: (breach: string) => void) {
  const at = new Map<string, string>();
  for (const { type, data, resource } of events) {
    let moved: [string, string] | undefined;
    if (type === pipelinesEvents.runStateChanged.type) {
      const { from, to } = fromBinary(pipelinesEvents.runStateChanged.schema, data);
      moved = [wordFor(runStateOf, from) ?? '', wordFor(runStateOf, to) ?? ''];
    } else if (type === pipelinesEvents.taskStateChanged.type) {
      const { from, to } = fromBinary(pipelinesEvents.taskStateChanged.schema, data);
      moved = [wordFor(taskStateOf, from) ?? '', wordFor(taskStateOf, to) ?? ''];
    }
    if (!moved) continue;
    const before = at.get(resource) ?? 'pending';
    if (before !== moved[0]) onBreach(`${resource}: the record goes from ${before} to ${moved.join('→')}`);
    at.set(resource, moved[1]);
  }
  for (const run of monitor.runs.values()) {
    const name = `projects/${run.project}/pipelineRuns/${run.id}`;
    if (at.get(name) !== run.state) onBreach(`${name} is ${run.state}; its record says ${at.get(name)}`);
  }
  for (const task of monitor.tasks.values()) {
    const name = `projects/${task.project}/pipelineRuns/${task.run}/tasks/${task.key}`;
    if (at.get(name) !== task.state) onBreach(`${name} is ${task.state}; its record says ${at.get(name)}`);
  }
}

/** Each time of a schedule is told once, and has a run exactly if that says so. */
async function checkSchedules(
  events: readonly RecordedEvent[],
  store: Store,
  monitor: Monitor,
  onBreach: (breach: string) => void,
): Promise<void> {
  const schedule = (await store.schedules.get('default/often'))?.doc;
  if (!schedule) return;
  const told = new Map<number, { run: string; atMs: number }>();
  for (const event of events) {
    if (event.type !== pipelinesEvents.scheduleFired.type) continue;
    const { logicalTime, run } = fromBinary(pipelinesEvents.scheduleFired.schema, event.data);
    const timeMs = Number(logicalTime?.seconds) * 1000;
    if (told.has(timeMs)) onBreach(`time ${new Date(timeMs).toISOString()} of the schedule is told twice`);
    told.set(timeMs, { run: run.split('/').at(-1) ?? '', atMs: event.timeMs });
  }
  const ran = new Map<number, string>();
  for (const { origin, id } of monitor.runs.values()) {
    if (origin.kind !== 'schedule') continue;
    const timeMs = origin.logicalTimeMs ?? 0;
    if (ran.has(timeMs)) onBreach(`time ${new Date(timeMs).toISOString()} of the schedule has two runs`);
    ran.set(timeMs, id);
    if (told.get(timeMs)?.run !== id)
      onBreach(
        `${id} ran for ${new Date(timeMs).toISOString()}; told is ${JSON.stringify(told.get(timeMs))}`,
      );
  }
  const next = createCron(schedule.cron, schedule.timeZone);
  const times: number[] = [];
  for (let at = next(schedule.createdAtMs); at !== undefined && at <= schedule.decidedUpToMs; at = next(at))
    times.push(at);
  const keep = Math.max(schedule.maxCatchUp, 1) + 1;
  for (const [i, timeMs] of times.entries()) {
    const fired = told.get(timeMs);
    if (fired?.run && !ran.has(timeMs)) onBreach(`${fired.run} is told, but there is no such run`);
    if (fired) continue;
    // Only the newest of the times that passed unnoticed are told of one by one.
    const later = times.slice(i + 1, i + 1 + keep).map((time) => told.get(time)?.atMs);
    if (later.length < keep) onBreach(`time ${new Date(timeMs).toISOString()} of the schedule was forgotten`);
  }
}

/** An event makes a trigger fire once, and has a run exactly if the record says so. */
function checkTriggers(
  events: readonly RecordedEvent[],
  monitor: Monitor,
  onBreach: (breach: string) => void,
) {
  const told = new Map<string, string>();
  for (const event of events) {
    if (event.type !== pipelinesEvents.triggerFired.type) continue;
    const { eventId, run } = fromBinary(pipelinesEvents.triggerFired.schema, event.data);
    if (told.has(eventId)) onBreach(`${eventId} made the trigger fire twice`);
    told.set(eventId, run.split('/').at(-1) ?? '');
  }
  const ran = new Set<string>();
  for (const { origin, id } of monitor.runs.values()) {
    if (origin.kind !== 'trigger') continue;
    const { eventId = '' } = origin;
    if (ran.has(eventId)) onBreach(`${eventId} started two runs`);
    ran.add(eventId);
    if (told.get(eventId) !== id) onBreach(`${id} ran for ${eventId}; told is ${told.get(eventId)}`);
  }
  for (const [eventId, run] of told)
    if (run && !ran.has(eventId)) onBreach(`${run} is told for ${eventId}, but there is no such run`);
}
