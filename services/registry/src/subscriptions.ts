import { names } from '@millrace/contracts';
import { featuresEvents } from '@millrace/contracts/features-events';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import { registryEvents } from '@millrace/contracts/registry-events';
import { servingEvents } from '@millrace/contracts/serving-events';
import type { RunSnapshot } from '@millrace/contracts/tracking';
import { trackingEvents } from '@millrace/contracts/tracking-events';
import { type Bus, type Handler, handler, type Subscription, subscribe } from '@millrace/events';
import { nodeKind } from './domain/lineage.ts';
import { addEdges, type Step } from './flows/lineage.ts';
import type { Registry } from './registry.ts';
import { datasetName } from './store/names.ts';

/** Builds the lineage graph from what all services say, the registry among them. */
export async function subscriptions(registry: Registry, bus: Bus): Promise<readonly Subscription[]> {
  const on = lineageHandlers(registry);
  return [await subscribe(bus, { durable: 'registry-lineage', on, log: registry.log })];
}

/** What each event adds to the graph. */
function lineageHandlers(registry: Registry): Handler[] {
  return [
    handler(trackingEvents.runCreated, (event) => addEdges(registry, event, stepsOfRun(event.data.run))),
    handler(trackingEvents.runFinished, (event) => addEdges(registry, event, stepsOfRun(event.data.run))),
    handler(trackingEvents.datasetInputLogged, (event) => {
      const { run, dataset, source } = event.data;
      const from = nodeKind(source) ? source : datasetName(event.project, dataset);
      return addEdges(registry, event, [[from, 'READ_BY', run]]);
    }),
    handler(featuresEvents.viewApplied, (event) => {
      const { source = '', name = '' } = event.data.view ?? {};
      return addEdges(registry, event, [[source, 'READ_BY', name]]);
    }),
    handler(featuresEvents.trainingSetCreated, (event) => {
      const set = event.data.trainingSet;
      if (!set) return Promise.resolve();
      const views = set.viewVersions.map(
        ({ view }): Step => [viewName(event.project, view), 'PRODUCED', set.name],
      );
      const { case: kind, value } = set.entityRows;
      const rows: Step[] = kind === 'query' ? [[value.source, 'READ_BY', set.name]] : [];
      return addEdges(registry, event, [...views, ...rows]);
    }),
    handler(pipelinesEvents.runCreated, (event) => {
      const { run, pipeline, origin } = event.data;
      return addEdges(registry, event, [
        [pipeline, 'STARTED', run],
        [origin?.resource ?? '', 'STARTED', run],
      ]);
    }),
    handler(servingEvents.modelLoaded, (event) =>
      addEdges(registry, event, [[event.data.modelVersion, 'DEPLOYED_BY', event.data.deployment]]),
    ),
    handler(registryEvents.modelVersionRegistered, (event) => {
      const { modelVersion, sourceRun, trainingSet, pipelineRun } = event.data;
      return addEdges(registry, event, [
        [sourceRun, 'PRODUCED', modelVersion],
        [trainingSet, 'TRAINED', modelVersion],
        [pipelineRun, 'PRODUCED', modelVersion],
      ]);
    }),
    handler(registryEvents.evaluationRecorded, (event) => {
      const dataset = event.data.evaluation?.dataset ?? '';
      const from = nodeKind(dataset) ? dataset : datasetName(event.project, dataset);
      return addEdges(registry, event, [[from, 'EVALUATED', event.data.modelVersion]]);
    }),
  ];
}

/** A run belongs to the pipeline run, and read the training set, that one of its tags or params names in full. */
function stepsOfRun(run: RunSnapshot | undefined): Step[] {
  return [...(run?.tags ?? []), ...(run?.params ?? [])].flatMap(({ value }): Step[] => {
    const kind = nodeKind(value);
    if (kind === 'PIPELINE_RUN') return [[value, 'PRODUCED', run?.run ?? '']];
    return kind === 'TRAINING_SET' ? [[value, 'READ_BY', run?.run ?? '']] : [];
  });
}

function viewName(project: string, view: string): string {
  return view.startsWith('projects/') ? view : names.featureView.format({ project, view });
}
