import type { DocumentStore } from '@millrace/documents';
import { createArtifacts } from './artifacts.ts';
import { createBatches } from './batches.ts';
import { createExperiments } from './experiments.ts';
import { createInputs } from './inputs.ts';
import { createRunIndex } from './run-index.ts';
import { createRuns } from './runs.ts';
import { type RunSearch, searchRuns } from './search.ts';

export type TrackingStore = ReturnType<typeof openTrackingStore>;

/** What tracking keeps, in its own words. */
export function openTrackingStore(documents: DocumentStore, now: () => number) {
  const index = createRunIndex(documents);
  const runs = createRuns(documents, index, now);
  return {
    experiments: createExperiments(documents, now),
    runs,
    batches: createBatches(documents, runs, now),
    inputs: createInputs(documents, now),
    artifacts: createArtifacts(documents, now),
    search: (search: RunSearch) => searchRuns(documents, index, search),
  };
}
