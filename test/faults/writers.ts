import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { ColumnType } from '@millrace/contracts/common';
import { connect, type Millrace } from '@millrace/sdk';
import { type ServiceName, until } from '@millrace/testing';

/** A thing that can be made in a service under a name of one's choice, and how to see which of them are there. */
export interface Writer {
  make(millrace: Millrace, id: string): Promise<unknown>;
  /** A page of what is there: the ids, and the token of the next page. */
  list(millrace: Millrace, pageToken: string): Promise<{ readonly ids: string[]; readonly next: string }>;
}

const idOf = ({ name }: { readonly name: string }) => name.slice(name.lastIndexOf('/') + 1);
const pageSize = 1_000;

export const writers: Readonly<Record<ServiceName, Writer>> = {
  tracking: {
    make: ({ tracking, parent }, id) =>
      tracking.createExperiment({ parent, experiment: { displayName: id } }),
    async list({ tracking, parent }, pageToken) {
      const { experiments, nextPageToken } = await tracking.listExperiments({ parent, pageSize, pageToken });
      return { ids: experiments.map(({ displayName }) => displayName), next: nextPageToken };
    },
  },
  registry: {
    make: ({ registry, parent }, modelId) => registry.createModel({ parent, modelId, model: {} }),
    async list({ registry, parent }, pageToken) {
      const { models, nextPageToken } = await registry.listModels({ parent, pageSize, pageToken });
      return { ids: models.map(idOf), next: nextPageToken };
    },
  },
  'feature-store': {
    make: ({ features, parent }, id) =>
      features.applyEntity({
        entity: { name: `${parent}/entities/${id}`, joinKeys: [{ name: 'key', type: ColumnType.STRING }] },
      }),
    async list({ features, parent }, pageToken) {
      const { entities, nextPageToken } = await features.listEntities({ parent, pageSize, pageToken });
      return { ids: entities.map(idOf), next: nextPageToken };
    },
  },
  orchestrator: {
    make: ({ pipelines, parent }, id) =>
      pipelines.applyPipeline({
        pipeline: {
          name: `${parent}/pipelines/${id}`,
          spec: { steps: [{ name: 'only', action: { case: 'command', value: { argv: ['true'] } } }] },
        },
      }),
    async list({ pipelines, parent }, pageToken) {
      const { pipelines: found, nextPageToken } = await pipelines.listPipelines({
        parent,
        pageSize,
        pageToken,
      });
      return { ids: found.map(idOf), next: nextPageToken };
    },
  },
  serving: {
    make: ({ deployments, parent }, deploymentId) =>
      deployments.createDeployment({
        parent,
        deploymentId,
        deployment: {
          targets: [{ model: `${parent}/models/none`, selector: { case: 'version', value: 1 }, weight: 1 }],
        },
      }),
    async list({ deployments, parent }, pageToken) {
      const page = await deployments.listDeployments({ parent, pageSize, pageToken });
      return { ids: page.deployments.map(idOf), next: page.nextPageToken };
    },
  },
  monitoring: {
    make: ({ monitoring, parent }, id) =>
      monitoring.applyMonitor({
        monitor: {
          name: `${parent}/monitors/${id}`,
          deployment: `${parent}/deployments/none`,
          window: { length: durationFromMs(3_600_000), minRows: 20 },
        },
      }),
    async list({ monitoring, parent }, pageToken) {
      const { monitors, nextPageToken } = await monitoring.listMonitors({ parent, pageSize, pageToken });
      return { ids: monitors.map(idOf), next: nextPageToken };
    },
  },
};

/** A client of one service alone. */
export function clientOf(service: { readonly name: ServiceName; readonly address: string }): Millrace {
  const context = { 'feature-store': 'features', orchestrator: 'pipelines' } as Partial<
    Record<ServiceName, string>
  >;
  const services = { [context[service.name] ?? service.name]: service.address };
  return connect({ endpoints: { services }, project: 'default', deadlineMs: 5_000 });
}

/** What the names look like that {@link startWriting} chooses: a service has things of its own. */
const made = /^\w-\d+-\d+$/;

/** Everything that was made, by id; a client that has just lost its server is given the time to find it again. */
export async function everything(writer: Writer, millrace: Millrace): Promise<string[]> {
  const all: string[] = [];
  for (let token = ''; ; ) {
    const { ids, next } = await until(() => writer.list(millrace, token), {
      what: 'a page of what is there',
    });
    all.push(...ids.filter((id) => made.test(id)));
    token = next;
    if (token === '') return all;
  }
}

/** Writers of one service, each making one thing after the other until a call fails. */
export interface WriteLoad {
  readonly acknowledged: ReadonlySet<string>;
  /** Calls that failed. */
  readonly failed: ReadonlySet<string>;
  /** Settles when each has met its failure, or was told to stop. */
  readonly ended: Promise<unknown>;
  stop(): void;
}

export function startWriting(writer: Writer, millrace: Millrace, prefix: string, clients = 8): WriteLoad {
  const acknowledged = new Set<string>();
  const failed = new Set<string>();
  let running = true;
  const client = async (c: number) => {
    for (let i = 0; running; i++) {
      const id = `${prefix}-${c}-${i}`;
      try {
        await writer.make(millrace, id);
        acknowledged.add(id);
      } catch {
        failed.add(id);
        return;
      }
    }
  };
  return {
    acknowledged,
    failed,
    ended: Promise.all(Array.from({ length: clients }, (_, c) => client(c))),
    stop: () => {
      running = false;
    },
  };
}
