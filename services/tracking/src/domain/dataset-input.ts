import { type Pair, samePairs, setPairs } from './pair.ts';

/** A dataset that a run used, as it is stored. */
export interface DatasetInput {
  readonly project: string;
  readonly run: string;
  /** Its place among the run's inputs: by the time of logging. Unique in the run. */
  readonly place: string;
  readonly name: string;
  readonly digest: string;
  readonly sourceType: string;
  readonly source: string;
  readonly schema: string;
  readonly profile: string;
  readonly tags: readonly Pair[];
}

/** A dataset logged again sets its tags again and nothing else; undefined when nothing differs. */
export function logAgain(before: DatasetInput, again: DatasetInput): DatasetInput | undefined {
  const tags = setPairs(before.tags, again.tags);
  return samePairs(tags, before.tags) ? undefined : { ...before, tags };
}
