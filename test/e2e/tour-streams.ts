import type { Millrace } from '@millrace/sdk';
import { expect } from 'vitest';

/** Takes the first answer of each stream that begins with what the tour left. */
export async function tourStreams(millrace: Millrace): Promise<void> {
  const { tracking, registry, features, pipelineRuns, deployments, inference, parent } = millrace;
  const { runs } = await tracking.searchRuns({ parent, filter: "tags.colour = 'red'" });
  const run = runs[0]?.name ?? '';
  const model = `${parent}/models/swapped`;
  const { trainingSets } = await features.listTrainingSets({ parent });
  const set = { name: trainingSets[0]?.name ?? '' };
  const { pipelineRuns: started } = await pipelineRuns.listPipelineRuns({ parent });
  const streams: readonly AsyncIterable<unknown>[] = [
    tracking.watchRun({ name: run }),
    tracking.downloadArtifact({ parent: run, path: 'model/w.bin' }),
    registry.watchModel({ name: model }),
    registry.downloadModelVersion({ name: `${model}/versions/3` }),
    features.watchTrainingSet(set),
    features.downloadTrainingSet(set),
    features.readTrainingSet(set),
    pipelineRuns.watchPipelineRun({ name: started[0]?.name ?? '' }),
    deployments.watchDeployments({ parent }),
    inference.modelStreamInfer(questions()),
  ];
  const answers = await Promise.all(streams.map(first));
  expect(answers).not.toContain(undefined);
}

async function* questions() {
  const contents = { fp32Contents: [1, 2] };
  for (const id of ['two', 'three'])
    yield { modelName: 'swapped', id, inputs: [{ name: 'x', datatype: 'FP32', shape: [2n, 1n], contents }] };
}

async function first(stream: AsyncIterable<unknown>): Promise<unknown> {
  for await (const one of stream) return one;
  return undefined;
}
