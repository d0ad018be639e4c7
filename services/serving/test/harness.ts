/** A serving service on a real NATS, beside stand-ins of the services it asks. */
import { fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { loadSettings } from '@millrace/config';
import { EventLogService } from '@millrace/contracts/common';
import {
  GRPCInferenceService,
  type ModelInferRequestSchema,
  type ModelInferResponse,
} from '@millrace/contracts/inference';
import { registryEvents } from '@millrace/contracts/registry-events';
import {
  type DeploymentSchema,
  DeploymentService,
  type InferenceLogged,
  InferenceLoggedSchema,
  TargetState,
} from '@millrace/contracts/serving';
import { servingEvents } from '@millrace/contracts/serving-events';
import { type Bus, connectBus, ensureStream, publish } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { type RunningService, startService } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { startNats, tempDir, until } from '@millrace/testing';
import { maxMessageBytes, settings } from '../src/config.ts';
import { build } from '../src/wiring.ts';
import { startFeatures, startRegistry } from './stand-ins.ts';

export type InferInit = MessageInitShape<typeof ModelInferRequestSchema>;
export type DeploymentInit = Exclude<MessageInitShape<typeof DeploymentSchema>, { $typeName: string }>;

/** The full name of the model that tests use, and of its versions. */
export const model = 'projects/default/models/delay';

export async function startHarness(env: Readonly<Record<string, string>> = {}) {
  const nats = await startNats();
  const folder = tempDir('millrace-serving-');
  const registry = await startRegistry();
  const features = await startFeatures();
  const bus: Bus = await connectBus({ url: nats.url, name: 'test' });
  await ensureStream(bus, 'registry');
  const config = loadSettings(settings, {
    DATA_DIR: folder.path,
    NATS_URL: nats.url,
    REGISTRY_ADDRESS: registry.address,
    FEATURES_ADDRESS: features.address,
    WORKERS: '2',
    ...env,
  });
  const start = () =>
    startService(
      { name: 'serving', context: 'serving', settings, maxMessageBytes, build },
      { config, log: silentLogger },
    );
  let service: RunningService = await start();
  const connect = () => {
    const transport = grpcTransport({ address: service.address, maxMessageBytes });
    return {
      transport,
      inference: createClient(GRPCInferenceService, transport, { deadlineMs: 20_000 }),
      deployments: createClient(DeploymentService, transport, { deadlineMs: 20_000 }),
      events: createClient(EventLogService, transport, { deadlineMs: 20_000 }),
    };
  };
  let clients = connect();

  const addVersion = (version: number, bytes: Uint8Array, more: { digest?: string } = {}) =>
    registry.versions.set(`${model}/versions/${version}`, { bytes, ...more });
  let revision = 0;

  return {
    registry,
    features,
    bus,
    folder: folder.path,
    get address() {
      return service.address;
    },
    get clients() {
      return clients;
    },
    addVersion,
    /** Moves an alias, and tells of it unless silent. */
    async moveAlias(alias: string, version: number, options: { silent?: boolean } = {}) {
      revision += 1;
      const name = `${model}/aliases/${alias}`;
      registry.aliases.set(name, { version, revision });
      const modelVersion = `${model}/versions/${version}`;
      if (options.silent) return;
      await publish(bus, registryEvents.aliasMoved, {
        project: 'default',
        resource: name,
        timeMs: Date.now(),
        data: { name, model, alias, version, modelVersion, revision: BigInt(revision) },
      });
    },
    /** Creates a deployment of one target that follows `champion`, unless told otherwise. */
    async deploy(id: string, more: DeploymentInit = {}) {
      const targets = [{ model, weight: 1, selector: { case: 'alias' as const, value: 'champion' } }];
      const { deployment } = await clients.deployments.createDeployment({
        parent: 'projects/default',
        deploymentId: id,
        deployment: { targets, ...more },
      });
      return deployment!;
    },
    async status(id: string, target = 0) {
      const { deployment } = await clients.deployments.getDeployment({
        name: `projects/default/deployments/${id}`,
      });
      return deployment!.targetStatuses[target]!;
    },
    /** Waits until a target serves this version. */
    async ready(id: string, version: number, target = 0) {
      await until(
        async () => {
          const status = await this.status(id, target);
          return status.state === TargetState.READY && status.loadedVersion === version;
        },
        { what: `${id} serves version ${version}`, timeoutMs: 15_000 },
      );
    },
    /** Every event of a type, from the service's own record. */
    async recorded(type: keyof typeof servingEvents) {
      const found: { resource: string; data: Uint8Array }[] = [];
      let after = 0n;
      for (;;) {
        const page = await clients.events.listEvents({
          afterSequence: after,
          types: [servingEvents[type].type],
          pageSize: 1000,
        });
        found.push(...page.events);
        if (page.events.length === 0) return found;
        after = page.events.at(-1)!.sequence;
      }
    },
    async logged(id: string): Promise<InferenceLogged[]> {
      const events = await this.recorded('inferenceLogged');
      return events
        .map(({ data }) => fromBinary(InferenceLoggedSchema, data))
        .filter((event) => event.deployment === `projects/default/deployments/${id}`);
    },
    async restart() {
      clients.transport.close();
      await service.stop();
      service = await start();
      clients = connect();
    },
    async stop() {
      clients.transport.close();
      await service.stop();
      await bus.close();
      await registry.stop();
      await features.stop();
      await nats.stop();
      await folder.remove();
    },
  };
}

export type Harness = Awaited<ReturnType<typeof startHarness>>;

/** Raw little-endian bytes of FP32. */
export const raw32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

/** A request of rows of FP32 for the input `x`. */
export function rowsOf(
  modelName: string,
  rows: readonly (readonly number[])[],
  more: InferInit = {},
): InferInit {
  const shape = [BigInt(rows.length), BigInt(rows[0]?.length ?? 0)];
  return {
    modelName,
    inputs: [{ name: 'x', datatype: 'FP32', shape }],
    rawInputContents: [raw32(...rows.flat())],
    ...more,
  } as InferInit;
}

/** The first output of an answer. */
export function floatsOf(answer: ModelInferResponse, output = 0): number[] {
  const bytes = answer.rawOutputContents[output]!;
  return [...new Float32Array(bytes.slice().buffer)];
}
