import { createHash } from 'node:crypto';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ColumnType } from '@millrace/contracts/common';
import { JobState } from '@millrace/contracts/features';
import { RunStatus } from '@millrace/contracts/tracking';
import { type Millrace, toBatch } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { expect } from 'vitest';

/** Calls what the loop has no use for, with good requests, on what the loop left: every one is answered. */
export async function tour(millrace: Millrace): Promise<void> {
  await tourTracking(millrace);
  await tourRegistry(millrace);
  await tourFeatures(millrace);
  const { schedules, pipelineRuns, deployments, inference, monitoring, parent } = millrace;
  await schedules.applySchedule({
    schedule: {
      name: `${parent}/schedules/nightly`,
      pipeline: `${parent}/pipelines/answer`,
      cron: '0 3 1 1 *',
      timeZone: 'Europe/Berlin',
      paused: true,
      parameters: ['rule', 'alert'].map((name) => ({
        name,
        value: { kind: { case: 'stringValue', value: 'none' } },
      })),
    },
  });
  await pipelineRuns.createPipelineRun({
    parent,
    pipelineRun: {
      pipeline: `${parent}/pipelines/answer`,
      parameters: ['rule', 'alert'].map((name) => ({
        name,
        value: { kind: { case: 'stringValue', value: 'by hand' } },
      })),
    },
  });
  await deployments.updateDeployment({
    deployment: { name: `${parent}/deployments/swapped`, description: 'swapped under load' },
    updateMask: { paths: ['description'] },
  });
  await inference.modelMetadata({ name: 'swapped' });
  await inference.modelReady({ name: 'swapped' });
  const answer = await inference.modelInfer({
    modelName: 'swapped',
    id: 'one',
    parameters: { event_time_ms: { parameterChoice: { case: 'int64Param', value: 1_000n } } },
    inputs: [{ name: 'x', datatype: 'FP32', shape: [2n, 1n], contents: { fp32Contents: [1, 2] } }],
  });
  expect(answer.outputs[0]?.shape).toEqual([2n, 1n]);
  await monitoring.logGroundTruth({
    deployment: `${parent}/deployments/heat`,
    inferenceIds: ['a', 'b'],
    labels: [true, false].map((value) => ({ kind: { case: 'boolValue', value } as const })),
    knownTime: timestampFromMs(1_000_000),
  });
}

async function tourTracking({ tracking, parent }: Millrace): Promise<void> {
  const { experiment } = await tracking.createExperiment({ parent, experiment: { displayName: 'tour' } });
  await tracking.updateExperiment({
    experiment: { name: experiment?.name ?? '', displayName: 'the tour' },
    updateMask: { paths: ['display_name'] },
  });
  const { run } = await tracking.createRun({
    parent,
    run: { experiment: experiment?.name ?? '', displayName: 'first', tags: [{ key: 'of', value: 'tour' }] },
  });
  const name = run?.name ?? '';
  await tracking.updateRun({
    run: { name, displayName: 'renamed' },
    updateMask: { paths: ['display_name'] },
  });
  await tracking.logBatch({
    name,
    metrics: [0, 1, 2].map((step) => ({ key: 'loss', value: 1 / (step + 1), step: BigInt(step) })),
    params: [{ key: 'rate', value: '0.1' }],
    tags: [{ key: 'colour', value: 'red' }],
  });
  await tracking.logInputs({
    name,
    inputs: [{ dataset: { name: 'readings', digest: 'abc', sourceType: 'file', source: 'readings' } }],
  });
  const bytes = Buffer.from('weights');
  async function* parts() {
    yield { part: { case: 'header', value: { run: name, path: 'model/w.bin' } } } as const;
    yield { part: { case: 'chunk', value: bytes } } as const;
  }
  await tracking.uploadArtifact(parts());
  await tracking.getArtifact({ parent: name, path: 'model/w.bin' });
  await tracking.getMetricHistory({ name, key: 'loss', maxPoints: 2 });
  const filter = "metrics.loss < 0.5 AND params.rate = '0.1' AND tags.colour LIKE 'r%'";
  const { runs } = await tracking.searchRuns({ parent, filter, orderBy: 'metrics.loss DESC' });
  expect(runs.map((found) => found.name)).toEqual([name]);
  await tracking.finishRun({ name, status: RunStatus.FINISHED });
}

async function tourRegistry({ registry, lineage, parent }: Millrace): Promise<void> {
  const model = `${parent}/models/swapped`;
  const version = `${model}/versions/3`;
  await registry.updateModel({
    model: { name: model, description: 'swaps' },
    updateMask: { paths: ['description'] },
  });
  await registry.updateModelVersion({
    modelVersion: { name: version, tags: [{ key: 'good', value: 'yes' }] },
    updateMask: { paths: ['tags'] },
  });
  await registry.createGate({
    parent: model,
    gateId: 'good',
    gate: { alias: 'best', expression: 'candidate.metrics.auc > 0.6', allowFirst: true },
  });
  await registry.updateGate({
    gate: { name: `${model}/gates/good`, description: 'good enough' },
    updateMask: { paths: ['description'] },
  });
  await registry.recordEvaluation({
    parent: version,
    evaluation: { dataset: 'readings', rowCount: 10n, metrics: [{ name: 'auc', value: 0.7 }] },
  });
  const { moved } = await registry.promoteVersion({ name: version, alias: 'best' });
  expect(moved).toBe(true);
  const { decisions } = await registry.listGateDecisions({ parent: model });
  expect(decisions).toHaveLength(1);
  await registry.listAliasMoves({ name: `${model}/aliases/live` });
  await lineage.getLineage({ resource: `${parent}/models/heat/versions/1` });
}

async function tourFeatures({ features, parent }: Millrace): Promise<void> {
  const data = Buffer.from('{"machine":"drill","asked":"2001-06-04T00:00:00Z","worn":1}\n');
  const expectedDigest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
  async function* parts() {
    yield { parent, data, expectedDigest };
  }
  await features.uploadSource(parts());
  const online = await features.getOnlineFeatures({
    parent,
    features: ['heat:mean_10m'],
    keys: toBatch({ machine: { type: 'string', values: ['drill', 'nobody'] } }),
    at: timestampFromMs(Date.UTC(2001, 5, 4)),
  });
  expect(online.features).toHaveLength(1);
  const asked = [Date.UTC(2001, 5, 4), Date.UTC(2001, 5, 4, 0, 30)];
  const rows = toBatch({
    machine: { type: 'string', values: ['drill', 'lathe'] },
    asked: { type: 'timestamp', values: asked },
    worn: { type: 'double', values: [1, 0] },
  });
  expect(rows.columns?.map(({ type }) => type)).toContain(ColumnType.TIMESTAMP);
  const { trainingSet } = await features.createTrainingSet({
    parent,
    trainingSet: {
      features: ['heat:mean_10m'],
      entityRows: { case: 'rows', value: rows },
      timestampColumn: 'asked',
      labelColumns: ['worn'],
    },
  });
  const name = trainingSet?.name ?? '';
  await until(
    async () => (await features.getTrainingSet({ name })).trainingSet?.state === JobState.SUCCEEDED,
    { what: 'the training set' },
  );
}
