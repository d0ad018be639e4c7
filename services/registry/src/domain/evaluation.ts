/** One measure. */
export interface Metric {
  readonly name: string;
  readonly value: number;
}

/** The measures of a version on a data set, as they are stored. */
export interface Evaluation {
  readonly project: string;
  readonly model: string;
  readonly version: number;
  readonly dataset: string;
  /** Tells editions of a data set apart; may be empty. */
  readonly datasetDigest: string;
  readonly metrics: readonly Metric[];
  readonly rowCount: number;
  readonly sourceRun: string;
}

/** The evaluations on which two versions are compared. */
export interface Comparison {
  readonly candidate: Evaluation;
  /** Undefined when there is nothing to compare with. */
  readonly champion: Evaluation | undefined;
}

export interface ComparisonQuery {
  /** Newest first. */
  readonly candidate: readonly Evaluation[];
  /** Newest first; undefined when no champion is to be compared. */
  readonly champion: readonly Evaluation[] | undefined;
  /** The name of the data set; empty for the newest in common. */
  readonly dataset: string;
}

/**
 * Finds on what to compare: the candidate's newest evaluation, on the named data set if one is named, for which the
 * champion has one on the same data set of the same digest, and of that the newest. Undefined when there is none.
 */
export function compareOn(query: ComparisonQuery): Comparison | undefined {
  for (const candidate of query.candidate) {
    if (query.dataset !== '' && candidate.dataset !== query.dataset) continue;
    if (query.champion === undefined) return { candidate, champion: undefined };
    const champion = query.champion.find(
      (other) => other.dataset === candidate.dataset && other.datasetDigest === candidate.datasetDigest,
    );
    if (champion) return { candidate, champion };
  }
  return undefined;
}
