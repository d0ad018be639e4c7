import { randomUUID } from 'node:crypto';
import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import { EntitySchema, FeatureViewSchema, SourceSchema } from '@millrace/contracts/features';
import { MonitorSchema } from '@millrace/contracts/monitoring';
import { names } from '@millrace/contracts/names';
import { PipelineSchema, ScheduleSchema, TriggerSchema } from '@millrace/contracts/pipelines';
import { GateSchema, ModelSchema } from '@millrace/contracts/registry';
import { DeploymentSchema } from '@millrace/contracts/serving';
import type { Millrace } from '@millrace/sdk';
import type { Metadata } from './manifest.ts';

/** What is needed to write a resource. */
interface Writing<M extends Message = Message> {
  readonly millrace: Millrace;
  readonly message: M;
  readonly metadata: Metadata;
  /** `projects/<project>` */
  readonly parent: string;
  /** The resource as it is; undefined when there is none. */
  readonly present: M | undefined;
  /** The fields that were given, in proto names: what an update changes. */
  readonly given: readonly string[];
  readonly requestId: string;
}

/** A kind of resource that can be applied. */
export interface Kind {
  readonly schema: DescMessage;
  /** The field of the message that the spec fills; the message itself when absent. */
  readonly within?: string;
  /** Updates change only what is given; a write that would change nothing is left out. */
  readonly partial: boolean;
  name(project: string, metadata: Metadata): string;
  read(millrace: Millrace, name: string): Promise<Message | undefined>;
  write(writing: Writing): Promise<Message | undefined>;
}

function kind<S extends DescMessage>(spec: {
  schema: S;
  within?: string;
  partial?: boolean;
  name(project: string, metadata: Metadata): string;
  read(millrace: Millrace, name: string): Promise<MessageShape<S> | undefined>;
  write(writing: Writing<MessageShape<S>>): Promise<MessageShape<S> | undefined>;
}): Kind {
  return { partial: false, ...spec } as unknown as Kind;
}

/** Every kind, in the order in which resources are written: what others refer to comes first. */
export const kinds: Readonly<Record<string, Kind>> = {
  Entity: kind({
    schema: EntitySchema,
    name: (project, { name }) => names.entity.format({ project, entity: name }),
    read: async ({ features }, name) => (await features.getEntity({ name })).entity,
    write: async ({ millrace, message: entity, requestId }) =>
      (await millrace.features.applyEntity({ entity, requestId })).entity,
  }),
  Source: kind({
    schema: SourceSchema,
    name: (project, { name }) => names.source.format({ project, source: name }),
    read: async ({ features }, name) => (await features.getSource({ name })).source,
    write: async ({ millrace, message: source, requestId }) =>
      (await millrace.features.applySource({ source, requestId })).source,
  }),
  FeatureView: kind({
    schema: FeatureViewSchema,
    name: (project, { name }) => names.featureView.format({ project, view: name }),
    read: async ({ features }, name) => (await features.getFeatureView({ name })).featureView,
    write: async ({ millrace, message: featureView, requestId }) =>
      (await millrace.features.applyFeatureView({ featureView, requestId })).featureView,
  }),
  Model: kind({
    schema: ModelSchema,
    partial: true,
    name: (project, { name }) => names.model.format({ project, model: name }),
    read: async ({ registry }, name) => (await registry.getModel({ name })).model,
    write: async ({
      millrace: { registry },
      message: model,
      present,
      given: paths,
      parent,
      metadata,
      requestId,
    }) =>
      present
        ? (await registry.updateModel({ model, updateMask: { paths: [...paths] }, requestId })).model
        : (await registry.createModel({ parent, modelId: metadata.name, model, requestId })).model,
  }),
  Gate: kind({
    schema: GateSchema,
    partial: true,
    name: (project, { name, model = '' }) => names.gate.format({ project, model, gate: name }),
    read: async ({ registry }, name) => (await registry.getGate({ name })).gate,
    write: async ({ millrace: { registry }, message: gate, present, given: paths, metadata, requestId }) => {
      if (present)
        return (await registry.updateGate({ gate, updateMask: { paths: [...paths] }, requestId })).gate;
      const { project, model } = names.gate.parse(gate.name);
      const parent = names.model.format({ project, model });
      return (await registry.createGate({ parent, gateId: metadata.name, gate, requestId })).gate;
    },
  }),
  Pipeline: kind({
    schema: PipelineSchema,
    within: 'spec',
    name: (project, { name }) => names.pipeline.format({ project, pipeline: name }),
    read: async ({ pipelines }, name) => (await pipelines.getPipeline({ name })).pipeline,
    write: async ({ millrace, message: pipeline, requestId }) =>
      (await millrace.pipelines.applyPipeline({ pipeline, requestId })).pipeline,
  }),
  Schedule: kind({
    schema: ScheduleSchema,
    name: (project, { name }) => names.schedule.format({ project, schedule: name }),
    read: async ({ schedules }, name) => (await schedules.getSchedule({ name })).schedule,
    write: async ({ millrace, message: schedule, requestId }) =>
      (await millrace.schedules.applySchedule({ schedule, requestId })).schedule,
  }),
  Trigger: kind({
    schema: TriggerSchema,
    name: (project, { name }) => names.trigger.format({ project, trigger: name }),
    read: async ({ triggers }, name) => (await triggers.getTrigger({ name })).trigger,
    write: async ({ millrace, message: trigger, requestId }) =>
      (await millrace.triggers.applyTrigger({ trigger, requestId })).trigger,
  }),
  Deployment: kind({
    schema: DeploymentSchema,
    partial: true,
    name: (project, { name }) => names.deployment.format({ project, deployment: name }),
    read: async ({ deployments }, name) => (await deployments.getDeployment({ name })).deployment,
    write: async ({
      millrace: { deployments },
      message: deployment,
      present,
      given,
      parent,
      metadata,
      requestId,
    }) => {
      if (!present) {
        const request = { parent, deploymentId: metadata.name, deployment, requestId };
        return (await deployments.createDeployment(request)).deployment;
      }
      const updateMask = { paths: [...given] };
      return (await deployments.updateDeployment({ deployment, updateMask, requestId })).deployment;
    },
  }),
  Monitor: kind({
    schema: MonitorSchema,
    name: (project, { name }) => names.monitor.format({ project, monitor: name }),
    read: async ({ monitoring }, name) => (await monitoring.getMonitor({ name })).monitor,
    write: async ({ millrace, message: monitor, requestId }) =>
      (await millrace.monitoring.applyMonitor({ monitor, requestId })).monitor,
  }),
};

/** A key that makes one write idempotent. */
export function newRequestId(): string {
  return randomUUID();
}
