import { invalidField, wrongState } from '@millrace/errors';
import { type Pair, samePairs, setPairs } from './pair.ts';

/** An experiment as it is stored. */
export interface Experiment {
  readonly project: string;
  /** Its id; 0 is the project's default. */
  readonly number: number;
  readonly displayName: string;
  readonly tags: readonly Pair[];
  /** When it was deleted; null while it is in use. */
  readonly deletedAtMs: number | null;
}

/** The experiment that every project has from the start. */
export function defaultExperiment(project: string): Experiment {
  return { project, number: 0, displayName: 'Default', tags: [], deletedAtMs: null };
}

export function createExperiment(
  project: string,
  number: number,
  displayName: string,
  tags: readonly Pair[],
): Experiment {
  return { project, number, displayName, tags: setPairs([], tags), deletedAtMs: null };
}

/** Takes an experiment's id from its text; INVALID_FIELD naming `field` when it is not one. */
export function experimentNumber(id: string, field: string): number {
  if (/^(0|[1-9]\d{0,14})$/.test(id)) return Number(id);
  throw invalidField(
    field,
    `${JSON.stringify(id.slice(0, 80))} is not an experiment's id`,
    'a decimal number such as 0',
  );
}

export interface ExperimentPatch {
  readonly displayName?: string;
  readonly tags?: readonly Pair[];
}

export interface ExperimentChange {
  readonly experiment: Experiment;
  readonly changed: readonly ('display_name' | 'tags')[];
}

/** Changes an experiment; undefined when nothing differs. */
export function updateExperiment(before: Experiment, patch: ExperimentPatch): ExperimentChange | undefined {
  refuseDeleted(before);
  const displayName = patch.displayName ?? before.displayName;
  const tags = patch.tags ? setPairs([], patch.tags) : before.tags;
  const changed: ('display_name' | 'tags')[] = [];
  if (displayName !== before.displayName) changed.push('display_name');
  if (!samePairs(tags, before.tags)) changed.push('tags');
  return changed.length > 0 ? { experiment: { ...before, displayName, tags }, changed } : undefined;
}

/** Undefined when it is deleted already. */
export function deleteExperiment(before: Experiment, nowMs: number): Experiment | undefined {
  if (before.number === 0)
    throw wrongState('experiment 0 is the default of its project and cannot be deleted');
  return before.deletedAtMs === null ? { ...before, deletedAtMs: nowMs } : undefined;
}

/** Undefined when it is not deleted. */
export function restoreExperiment(before: Experiment): Experiment | undefined {
  return before.deletedAtMs === null ? undefined : { ...before, deletedAtMs: null };
}

/** Refuses to work in an experiment that was deleted. */
export function refuseDeleted(experiment: Experiment): void {
  if (experiment.deletedAtMs !== null)
    throw wrongState(`experiment ${experiment.number} is deleted; restore it first`, 'EXPERIMENT_DELETED');
}
