import { featuresEvents } from '@millrace/contracts/features-events';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import { LineageDirection, LineageEdgeKind, LineageNodeKind } from '@millrace/contracts/registry';
import { servingEvents } from '@millrace/contracts/serving-events';
import { trackingEvents } from '@millrace/contracts/tracking-events';
import { type Bus, connectBus, ensureStream, noLog, publish } from '@millrace/events';
import { startNats, type TestNats, until } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate, modelFile, project, type RunningRegistry, startRegistry, upload } from './running.ts';

let nats: TestNats;
let bus: Bus;
let registry: RunningRegistry;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'test', log: noLog });
  for (const context of ['tracking', 'features', 'pipelines', 'serving'] as const)
    await ensureStream(bus, context);
  registry = await startRegistry({ NATS_URL: nats.url });
}, 60_000);

afterAll(async () => {
  await registry?.stop();
  await bus?.close();
  await nats?.stop();
}, 60_000);

const run = `${project}/runs/${'0'.repeat(31)}1`;
const trainingSet = `${project}/trainingSets/calm-weeks`;
const view = `${project}/featureViews/origin_delays`;
const source = `${project}/sources/flights`;
const pipeline = `${project}/pipelines/train`;
const pipelineRun = `${project}/pipelineRuns/${'0'.repeat(31)}2`;
const trigger = `${project}/triggers/drift`;
const deployment = `${project}/deployments/delays`;

const tell = (type: Parameters<typeof publish>[1], resource: string, data: Record<string, unknown>) =>
  publish(bus, type, { project: 'default', resource, data });

const kindNames = new Map<number, string>(
  Object.entries(LineageEdgeKind).map(([name, number]) => [number, name]),
);

async function lineage(resource: string, over: object = {}) {
  const { nodes, edges, truncated } = await registry.lineage.getLineage({ resource, ...over });
  const short = (name: string) => name.split('/').at(-1)!;
  return {
    truncated,
    nodes: new Map(nodes.map((node) => [node.resource, node])),
    edges: edges.map((edge) => `${short(edge.from)} ${kindNames.get(edge.kind)} ${short(edge.to)}`).sort(),
  };
}

describe('lineage', () => {
  it('is built from the events of all services, and read both ways', { timeout: 60_000 }, async () => {
    await tell(featuresEvents.viewApplied, view, { view: { name: view, source } });
    await tell(featuresEvents.trainingSetCreated, trainingSet, {
      trainingSet: { name: trainingSet, viewVersions: [{ view, version: 1 }] },
    });
    await tell(pipelinesEvents.runCreated, pipelineRun, {
      run: pipelineRun,
      pipeline,
      origin: { resource: trigger },
    });
    await tell(trackingEvents.runCreated, run, {
      run: { run, tags: [{ key: 'pipeline_run', value: pipelineRun }] },
    });
    await tell(trackingEvents.datasetInputLogged, run, { run, dataset: 'calm weeks', source: trainingSet });

    const { model } = await registry.models.createModel({ parent: project, modelId: 'delays' });
    const header = { parent: model!.name, modelVersion: { sourceRun: run, trainingSet, pipelineRun } };
    const { modelVersion } = await registry.models.uploadModelVersion(upload(header, modelFile()));
    const version = modelVersion!.name;
    await evaluate(registry, version, 'june', 0.7);
    for (let twice = 0; twice < 2; twice++)
      await tell(servingEvents.modelLoaded, deployment, { deployment, modelVersion: version });

    const expected = [
      '1 DEPLOYED_BY delays',
      'calm-weeks READ_BY 00000000000000000000000000000001',
      'calm-weeks TRAINED 1',
      'drift STARTED 00000000000000000000000000000002',
      'flights READ_BY origin_delays',
      'june EVALUATED 1',
      'origin_delays PRODUCED calm-weeks',
      'train STARTED 00000000000000000000000000000002',
      '00000000000000000000000000000001 PRODUCED 1',
      '00000000000000000000000000000002 PRODUCED 00000000000000000000000000000001',
      '00000000000000000000000000000002 PRODUCED 1',
    ].sort();
    await until(async () => (await lineage(version)).edges.length === expected.length, { timeoutMs: 30_000 });
    const whole = await lineage(version);
    expect(whole.edges).toEqual(expected);
    expect(whole.truncated).toBe(false);
    expect(whole.nodes.get(version)).toMatchObject({ kind: LineageNodeKind.MODEL_VERSION, distance: 0 });
    expect(whole.nodes.get(source)).toMatchObject({ kind: LineageNodeKind.SOURCE, distance: 3 });

    const down = await lineage(trainingSet, { direction: LineageDirection.DOWNSTREAM });
    expect([...down.nodes.keys()].sort()).toEqual([trainingSet, run, version, deployment].sort());
    const near = await lineage(version, { direction: LineageDirection.UPSTREAM, depth: 1 });
    expect(near.nodes.has(source)).toBe(false);
    expect((await lineage(`${project}/deployments/none`)).edges).toEqual([]);
  });
});
