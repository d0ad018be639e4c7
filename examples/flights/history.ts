import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { JobState } from '@millrace/contracts/features';
import type { Millrace } from '@millrace/sdk';
import { views } from './data.ts';
import { insist, waitFor } from './replay/patience.ts';

/** Brings what had landed by a time into the online store, for every view. */
export async function materialize({ features, parent, project }: Millrace, untilMs: number): Promise<void> {
  for (const id of Object.keys(views)) {
    const view = names.featureView.format({ project, view: id });
    const { materialization } = await insist(() =>
      features.createMaterialization({
        parent,
        // The end says what "lately" means: seen from today, a window of 2001 would be empty.
        materialization: { view, endTime: timestampFromMs(untilMs) },
        requestId: `materialize-${id}-${untilMs}`,
      }),
    );
    const name = materialization?.name ?? '';
    await waitFor(`the end of ${name}`, async () => {
      const { materialization: job } = await features.getMaterialization({ name });
      if (job?.state === JobState.FAILED)
        throw new Error(`materializing ${id} failed: ${job.error?.message}`);
      return job?.state === JobState.SUCCEEDED ? job : undefined;
    });
  }
}
