import { create, type DescMethod, type DescService, type Message } from '@bufbuild/protobuf';
import { matchName, names } from '@millrace/contracts';
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
import type { Millrace } from '@millrace/sdk';

const services = {
  tracking: TrackingService,
  registry: RegistryService,
  lineage: LineageService,
  features: FeatureStoreService,
  pipelines: PipelineService,
  pipelineRuns: PipelineRunService,
  schedules: ScheduleService,
  triggers: TriggerService,
  deployments: DeploymentService,
  inference: GRPCInferenceService,
  monitoring: MonitoringService,
} as const;

/** Good requests, and the names of what there is: what bad requests are made from. */
export interface Recorded {
  /** Answered requests of each method, by its type name; of a stream of requests, each. */
  readonly requests: Map<string, Message[]>;
  /** Names of resources by their pattern. */
  readonly names: Map<string, Set<string>>;
}

type Call = (request: unknown, options?: unknown) => unknown;
const kept = 4;

/** Lets every call through and keeps what was asked and which names came back. */
export function recording(millrace: Millrace): { readonly millrace: Millrace; readonly recorded: Recorded } {
  const recorded: Recorded = { requests: new Map(), names: new Map() };
  const clients = Object.entries(services).map(([key, service]) => {
    const client = millrace[key as keyof typeof services] as unknown as Readonly<Record<string, Call>>;
    const methods = (service as DescService).methods.map((method) => {
      const call = client[method.localName]!;
      return [method.localName, recordCall(method, call, recorded)];
    });
    return [key, Object.fromEntries(methods)];
  });
  return { millrace: { ...millrace, ...Object.fromEntries(clients) } as Millrace, recorded };
}

function recordCall(method: DescMethod, call: Call, recorded: Recorded): Call {
  const keep = (init: unknown) => {
    const found = recorded.requests.get(keyOf(method)) ?? [];
    if (found.length < kept) found.push(create(method.input, init as Record<string, unknown>));
    recorded.requests.set(keyOf(method), found);
  };
  return (request, options) => {
    if (sendsStream(method)) return call(passing(request, keep), options);
    const answer = call(request, options);
    if (method.methodKind === 'server_streaming') return passing(answer, () => keep(request), 1);
    return (answer as Promise<unknown>).then((message) => {
      keep(request);
      collect(message, recorded.names);
      return message;
    });
  };
}

/** Tells of the messages of a stream as they pass, of the first `most` of them. */
async function* passing(messages: unknown, tell: (message: unknown) => void, most = kept) {
  let told = 0;
  for await (const one of messages as AsyncIterable<unknown>) {
    if (told++ < most) tell(one);
    yield one;
  }
}

/** Whether a call has a stream of requests. */
export function sendsStream({ methodKind }: DescMethod): boolean {
  return methodKind === 'client_streaming' || methodKind === 'bidi_streaming';
}

/** What a method's requests are kept under. */
export function keyOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

function collect(value: unknown, into: Map<string, Set<string>>): void {
  if (typeof value === 'string' && value.startsWith('projects/')) {
    for (const { pattern } of Object.values(names)) {
      if (!matchName(pattern.split('/'), value)) continue;
      into.set(pattern, (into.get(pattern) ?? new Set()).add(value));
    }
  } else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const one of Object.values(value)) collect(one, into);
  }
}
