import type { DescService } from '@bufbuild/protobuf';
import type { Context } from '@millrace/contracts';
import { EventLogService, IntegrityService } from '@millrace/contracts/common';
import { FeatureStoreService } from '@millrace/contracts/features';
import { GRPCInferenceService } from '@millrace/contracts/inference';
import { MonitoringService } from '@millrace/contracts/monitoring';
import {
  PipelineRunService,
  PipelineService,
  ScheduleService,
  TriggerService,
} from '@millrace/contracts/pipelines';
import { LineageService, RegistryService } from '@millrace/contracts/registry';
import { DeploymentService } from '@millrace/contracts/serving';
import { TrackingService } from '@millrace/contracts/tracking';
import { CodedError } from '@millrace/errors';
import { type Client, createClient, grpcTransport, type Transport } from '@millrace/rpc';
import { type Endpoints, findEndpoints } from './addresses.ts';

export interface ConnectOptions {
  /** @default found by {@link findEndpoints} */
  readonly endpoints?: Endpoints;
  /** @default MILLRACE_PROJECT, or `default` */
  readonly project?: string;
  /** How long calls may take that say nothing else, in milliseconds. @default 30000 */
  readonly deadlineMs?: number;
}

/** Typed clients of every service of a suite. Connections are made when they are first used. */
export interface Millrace {
  readonly project: string;
  /** `projects/<project>`: the parent of everything. */
  readonly parent: string;
  readonly endpoints: Endpoints;
  readonly tracking: Client<typeof TrackingService>;
  readonly registry: Client<typeof RegistryService>;
  readonly lineage: Client<typeof LineageService>;
  readonly features: Client<typeof FeatureStoreService>;
  readonly pipelines: Client<typeof PipelineService>;
  readonly pipelineRuns: Client<typeof PipelineRunService>;
  readonly schedules: Client<typeof ScheduleService>;
  readonly triggers: Client<typeof TriggerService>;
  readonly deployments: Client<typeof DeploymentService>;
  readonly inference: Client<typeof GRPCInferenceService>;
  readonly monitoring: Client<typeof MonitoringService>;
  /** The record of one context's events. */
  eventLog(context: Context): Client<typeof EventLogService>;
  /** Whether what a service has stored is sound. */
  integrity(context: Context): Client<typeof IntegrityService>;
  close(): void;
}

/** Messages of this size pass both ways: batches of rows and tensors are larger than gRPC's usual 4 MiB. */
const maxMessageBytes = 64 * 1024 * 1024;

/** Connects to a suite. Nothing is sent until the first call. */
export function connect(options: ConnectOptions = {}): Millrace {
  const endpoints = options.endpoints ?? findEndpoints();
  const project = options.project ?? process.env.MILLRACE_PROJECT ?? 'default';
  const transports = new Map<string, Transport>();
  const callOptions = {
    deadlineMs: options.deadlineMs ?? 30_000,
    ...(endpoints.token ? { metadata: { authorization: `Bearer ${endpoints.token}` } } : {}),
  };

  function client<S extends DescService>(service: S, context: Context): Client<S> {
    const address = endpoints.services[context];
    if (!address) return nowhere(context);
    const transport = transports.get(address) ?? grpcTransport({ address, maxMessageBytes });
    transports.set(address, transport);
    return createClient(service, transport, callOptions);
  }

  return {
    project,
    parent: `projects/${project}`,
    endpoints,
    tracking: client(TrackingService, 'tracking'),
    registry: client(RegistryService, 'registry'),
    lineage: client(LineageService, 'registry'),
    features: client(FeatureStoreService, 'features'),
    pipelines: client(PipelineService, 'pipelines'),
    pipelineRuns: client(PipelineRunService, 'pipelines'),
    schedules: client(ScheduleService, 'pipelines'),
    triggers: client(TriggerService, 'pipelines'),
    deployments: client(DeploymentService, 'serving'),
    inference: client(GRPCInferenceService, 'serving'),
    monitoring: client(MonitoringService, 'monitoring'),
    eventLog: (context) => client(EventLogService, context),
    integrity: (context) => client(IntegrityService, context),
    close: () => {
      for (const transport of transports.values()) transport.close();
    },
  };
}

/** A client of a service whose address is not known: using it says so. */
function nowhere<S extends DescService>(context: Context): Client<S> {
  const text = `the address of ${context} is not known; set MILLRACE_${context.toUpperCase()}_ADDRESS to its host:port`;
  return new Proxy({} as Client<S>, {
    get: () => () => {
      throw new CodedError('unavailable', 'UNAVAILABLE', text);
    },
  });
}
