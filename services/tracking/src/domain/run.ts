import { CodedError, invalidField, wrongState } from '@millrace/errors';
import { limits } from './limits.ts';
import { mergeLatest, type Point } from './metric.ts';
import { type Pair, samePairs, setPairs } from './pair.ts';

export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED';

/** A run as it is stored. */
export interface Run {
  readonly project: string;
  readonly id: string;
  /** The experiment's number. */
  readonly experiment: number;
  readonly displayName: string;
  readonly status: RunStatus;
  /** When it was deleted; null while it is in use. */
  readonly deletedAtMs: number | null;
  readonly startTimeMs: number | null;
  readonly endTimeMs: number | null;
  /** Sorted by key, as tags and metrics are. */
  readonly params: readonly Pair[];
  readonly tags: readonly Pair[];
  /** The latest point of each metric. */
  readonly metrics: readonly Point[];
}

/** A field of a run that a change can name. */
type RunField = 'display_name' | 'status' | 'start_time' | 'end_time' | 'params' | 'tags';

/** What a change of a run comes to: the run after it and which of its fields differ. */
export interface RunChange {
  readonly run: Run;
  readonly changed: readonly RunField[];
  /** Whether the run ended by this change. */
  readonly finished: boolean;
}

/** Where a run may go from each status. A run that ended may be resumed. */
const transitions: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  SCHEDULED: ['RUNNING', 'FAILED', 'KILLED'],
  RUNNING: ['FINISHED', 'FAILED', 'KILLED'],
  FINISHED: ['RUNNING'],
  FAILED: ['RUNNING'],
  KILLED: ['RUNNING'],
};

export function isFinal(status: RunStatus): boolean {
  return status === 'FINISHED' || status === 'FAILED' || status === 'KILLED';
}

export interface NewRun {
  readonly project: string;
  readonly id: string;
  readonly experiment: number;
  readonly displayName: string;
  readonly status: RunStatus;
  readonly startTimeMs: number | undefined;
  readonly tags: readonly Pair[];
}

export function createRun(wanted: NewRun, nowMs: number): Run {
  const { project, id, experiment, status } = wanted;
  if (isFinal(status))
    throw invalidField('run.status', `a run cannot begin as ${status}`, 'RUNNING, SCHEDULED');
  const startTimeMs = wanted.startTimeMs ?? (status === 'RUNNING' ? nowMs : null);
  const displayName = wanted.displayName || `run-${id.slice(-8)}`;
  const nothing = { params: [], metrics: [], deletedAtMs: null, endTimeMs: null };
  const tags = setPairs([], wanted.tags);
  return withinLimits({ ...nothing, project, id, experiment, displayName, status, startTimeMs, tags });
}

/** New values for some fields; the others stay. */
export interface RunPatch {
  readonly displayName?: string;
  readonly status?: RunStatus;
  readonly startTimeMs?: number;
  readonly endTimeMs?: number;
  readonly tags?: readonly Pair[];
}

/** Changes a run; undefined when nothing differs. */
export function updateRun(run: Run, patch: RunPatch, nowMs: number): RunChange | undefined {
  refuseDeleted(run);
  let next = run;
  if (patch.displayName !== undefined) next = { ...next, displayName: patch.displayName };
  if (patch.startTimeMs !== undefined) next = { ...next, startTimeMs: patch.startTimeMs };
  if (patch.tags !== undefined) next = { ...next, tags: setPairs([], patch.tags) };
  if (patch.status !== undefined) next = moveTo(next, patch.status, nowMs);
  if (patch.endTimeMs !== undefined) next = { ...next, endTimeMs: patch.endTimeMs };
  if (patch.endTimeMs !== undefined && !isFinal(next.status))
    throw invalidField('run.end_time', `the run is ${next.status}`, 'an end time only for a run that ended');
  refuseBackwards(next, 'run.end_time');
  return changeOf(run, withinLimits(next));
}

/** Ends a run; undefined when it has ended with this status already. */
export function finishRun(
  run: Run,
  status: RunStatus,
  endTimeMs: number | undefined,
  nowMs: number,
): RunChange | undefined {
  if (!isFinal(status)) throw invalidField('status', `${status} is not an end`, 'FINISHED, FAILED, KILLED');
  refuseDeleted(run);
  if (run.status === status) return undefined;
  const ended = moveTo(run, status, nowMs);
  const next = endTimeMs === undefined ? ended : { ...ended, endTimeMs };
  refuseBackwards(next, 'end_time');
  return changeOf(run, next);
}

/** Ends a run whose work is over although it did not say so; undefined when it is not at work. */
export function endOpenRun(run: Run, status: RunStatus, nowMs: number): RunChange | undefined {
  const isOpen = run.status === 'RUNNING' && run.deletedAtMs === null;
  return isOpen ? finishRun(run, status, undefined, nowMs) : undefined;
}

/** Undefined when it is deleted already. */
export function deleteRun(run: Run, nowMs: number): Run | undefined {
  return run.deletedAtMs === null ? { ...run, deletedAtMs: nowMs } : undefined;
}

/** Undefined when it is not deleted. */
export function restoreRun(run: Run): Run | undefined {
  return run.deletedAtMs === null ? undefined : { ...run, deletedAtMs: null };
}

/** Params and tags to log. */
export interface Annotations {
  readonly params: readonly Pair[];
  readonly tags: readonly Pair[];
  readonly removedTags: readonly string[];
}

/** Logs params, each written once, and tags; undefined when nothing differs. */
export function annotateRun(run: Run, { params, tags, removedTags }: Annotations): RunChange | undefined {
  refuseDeleted(run);
  const known = new Map(run.params.map((pair) => [pair.key, pair.value]));
  for (const [i, { key, value }] of params.entries()) {
    const before = known.get(key);
    if (before !== undefined && before !== value) throw paramConflict(run, i, key, before, value);
    known.set(key, value);
  }
  const next = {
    ...run,
    params: setPairs(run.params, params),
    tags: setPairs(run.tags, tags, removedTags),
  };
  return changeOf(run, withinLimits(next));
}

/** Refuses points of metrics that the run has no room for, before anything is written. */
export function admitMetrics(run: Run, logged: readonly string[]): void {
  refuseDeleted(run);
  const keys = new Set(run.metrics.map((point) => point.key));
  for (const key of logged) keys.add(key);
  if (keys.size > limits.metricKeys) throw full('metrics', keys.size, limits.metricKeys);
}

/** Takes note of the latest points; undefined when none is newer. Deletion does not stop it: the points are logged. */
export function noteLatest(run: Run, points: readonly Point[]): Run | undefined {
  const metrics = mergeLatest(run.metrics, points);
  return metrics && { ...run, metrics };
}

function moveTo(run: Run, status: RunStatus, nowMs: number): Run {
  if (run.status === status) return run;
  if (!transitions[run.status].includes(status)) {
    const message = `run ${run.id} is ${run.status}; from there it can become ${transitions[run.status].join(', ')}, not ${status}`;
    throw wrongState(message);
  }
  if (isFinal(status)) return { ...run, status, endTimeMs: Math.max(nowMs, run.startTimeMs ?? nowMs) };
  return { ...run, status, startTimeMs: run.startTimeMs ?? nowMs, endTimeMs: null };
}

function changeOf(before: Run, run: Run): RunChange | undefined {
  const changed: RunField[] = [];
  if (before.displayName !== run.displayName) changed.push('display_name');
  if (before.status !== run.status) changed.push('status');
  if (before.startTimeMs !== run.startTimeMs) changed.push('start_time');
  if (before.endTimeMs !== run.endTimeMs) changed.push('end_time');
  if (!samePairs(before.params, run.params)) changed.push('params');
  if (!samePairs(before.tags, run.tags)) changed.push('tags');
  const finished = !isFinal(before.status) && isFinal(run.status);
  return changed.length > 0 ? { run, changed, finished } : undefined;
}

/** Refuses to work on a run that was deleted. */
export function refuseDeleted(run: Run): void {
  if (run.deletedAtMs !== null) throw wrongState(`run ${run.id} is deleted; restore it first`, 'RUN_DELETED');
}

function refuseBackwards(run: Run, field: string): void {
  if (run.endTimeMs !== null && run.startTimeMs !== null && run.endTimeMs < run.startTimeMs)
    throw invalidField(field, 'the end is before the start', 'a time not before start_time');
}

function withinLimits(run: Run): Run {
  if (run.params.length > limits.params) throw full('params', run.params.length, limits.params);
  if (run.tags.length > limits.tags) throw full('tags', run.tags.length, limits.tags);
  let chars = 0;
  for (const { key, value } of run.params) chars += key.length + value.length;
  for (const { key, value } of run.tags) chars += key.length + value.length;
  if (chars > limits.textChars) throw full('characters of params and tags', chars, limits.textChars);
  return run;
}

function full(what: string, wanted: number, most: number): CodedError {
  return invalidField('name', `the run would have ${wanted} ${what}`, `at most ${most} in a run`);
}

function paramConflict(run: Run, index: number, key: string, before: string, value: string): CodedError {
  const message = `param ${quote(key)} of run ${run.id} is ${quote(before)} and cannot become ${quote(value)}: params are written once`;
  const violations = [{ field: `params[${index}].value`, description: message }];
  return new CodedError('already_exists', 'PARAM_EXISTS', message, { violations });
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
