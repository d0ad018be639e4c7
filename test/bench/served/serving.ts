import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { GRPCInferenceService, ModelInferRequestSchema } from '@millrace/contracts/inference';
import type { DeploymentSchema } from '@millrace/contracts/serving';
import { grpcTransport } from '@millrace/rpc';
import { connect, type Millrace } from '@millrace/sdk';
import { startSuite } from '@millrace/testing';
import { loaded, register } from '../../e2e/models.ts';

/** Registry and serving with deployments, asked by ready-made messages, so that both sides of a row encode nothing. */
export interface Serving {
  readonly millrace: Millrace;
  /** The process of the serving service. */
  readonly pid: number;
  /** Registers a model and serves it under the same name; answers when it is loaded. */
  deploy(name: string, model: Uint8Array, more?: DeploymentInit): Promise<void>;
  /** One unary call; answers the size of the response in bytes. */
  infer(request: Uint8Array): Promise<number>;
  /** One stream of so many requests, `inFlight` of them unanswered at most. */
  stream(request: Uint8Array, messages: number, inFlight: number): Promise<void>;
  close(): Promise<void>;
}

/** What a deployment is told beside its target. */
export type DeploymentInit = Exclude<MessageInitShape<typeof DeploymentSchema>, { $typeName: string }>;

const { modelInfer, modelStreamInfer } = GRPCInferenceService.method;

export async function startServing(env: Readonly<Record<string, string>> = {}): Promise<Serving> {
  const suite = await startSuite({ only: ['registry', 'serving'], env: { LOG_LEVEL: 'warn', ...env } });
  const services = { registry: suite.env.REGISTRY_ADDRESS!, serving: suite.env.SERVING_ADDRESS! };
  const millrace = connect({ endpoints: { services } });
  const transport = grpcTransport({ address: services.serving, maxMessageBytes: 64 * 1024 * 1024 });
  const callOf = (method: typeof modelInfer | typeof modelStreamInfer) => ({
    method,
    path: `/inference.GRPCInferenceService/${method.name}`,
    deadlineMs: Date.now() + 60_000,
    signal: undefined,
    metadata: {},
  });
  return {
    millrace,
    pid: suite.service('serving').pid ?? 0,
    async deploy(name, model, more = {}) {
      const { parent, registry, deployments } = millrace;
      await registry.createModel({ parent, modelId: name, model: {} });
      await register(millrace, `${parent}/models/${name}`, model);
      const target = {
        model: `${parent}/models/${name}`,
        selector: { case: 'version', value: 1 } as const,
        weight: 1,
      };
      await deployments.createDeployment({
        parent,
        deploymentId: name,
        deployment: { targets: [target], ...more },
      });
      await loaded(millrace, `${parent}/deployments/${name}`, 1);
    },
    infer: async (request) => (await transport.unary(callOf(modelInfer), request)).length,
    async stream(request, messages, inFlight) {
      let [got, wake] = [0, () => {}];
      async function* requests() {
        for (let sent = 0; sent < messages; sent++) {
          while (sent - got >= inFlight)
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          yield request;
        }
      }
      for await (const _ of transport.stream(callOf(modelStreamInfer), requests())) {
        got += 1;
        wake();
      }
    },
    async close() {
      transport.close();
      millrace.close();
      await suite.stop();
    },
  };
}

/** A request of `rows` rows of FP32, as a client sends it. */
export function requestFor(name: string, rows: number, columns: number): Uint8Array {
  const values = Float32Array.from({ length: rows * columns }, (_, i) => (i % 100) / 100);
  return toBinary(
    ModelInferRequestSchema,
    create(ModelInferRequestSchema, {
      modelName: name,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [BigInt(rows), BigInt(columns)] }],
      rawInputContents: [new Uint8Array(values.buffer)],
    }),
  );
}
