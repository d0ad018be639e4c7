/** Servers that speak the contracts of the registry and the feature store, as far as serving asks them. */
import { createHash } from 'node:crypto';
import type { DescService } from '@bufbuild/protobuf';
import { names } from '@millrace/contracts';
import { type ColumnBatch, ColumnType } from '@millrace/contracts/common';
import {
  FeatureStatus,
  FeatureStoreService,
  type GetOnlineFeaturesRequest,
} from '@millrace/contracts/features';
import { ModelVersionState, RegistryService } from '@millrace/contracts/registry';
import { CodedError, notFound } from '@millrace/errors';
import { createServer, type Handlers, implement, type RpcServer } from '@millrace/rpc';

/** Completes handlers with refusals for the methods that are not asked for. */
function partly<S extends DescService>(service: S, handlers: Partial<Handlers<S>>) {
  const refuse = () => {
    throw new CodedError('unimplemented', 'UNIMPLEMENTED', 'not asked for by serving');
  };
  const all = Object.fromEntries(service.methods.map((method) => [method.localName, refuse]));
  return implement(service, { ...all, ...handlers } as unknown as Handlers<S>);
}

export interface RegistryStandIn {
  readonly address: string;
  /** Versions by full name. */
  readonly versions: Map<string, { bytes: Uint8Array; digest?: string; state?: ModelVersionState }>;
  /** Versions and revisions that aliases point to, by full name. */
  readonly aliases: Map<string, { version: number; revision: number }>;
  stop(): Promise<void>;
}

export async function startRegistry(): Promise<RegistryStandIn> {
  const versions: RegistryStandIn['versions'] = new Map();
  const aliases: RegistryStandIn['aliases'] = new Map();
  const standIn = { versions, aliases };
  const server: RpcServer = await createServer({
    implementations: [
      partly(RegistryService, {
        getAlias: async ({ name }) => {
          const found = aliases.get(name);
          if (!found) throw notFound(name);
          const { project, model } = names.alias.parse(name);
          const modelVersion = names.modelVersion.format({ project, model, version: String(found.version) });
          return { alias: { name, modelVersion, revision: BigInt(found.revision) } };
        },
        async *downloadModelVersion({ name }) {
          const found = versions.get(name);
          if (!found) throw notFound(name);
          const digest = found.digest ?? `sha256:${createHash('sha256').update(found.bytes).digest('hex')}`;
          const version = Number(names.modelVersion.parse(name).version);
          const state = found.state ?? ModelVersionState.READY;
          const sizeBytes = BigInt(found.bytes.length);
          yield { payload: { case: 'modelVersion', value: { name, version, state, digest, sizeBytes } } };
          for (let at = 0; at < found.bytes.length; at += 65_536)
            yield { payload: { case: 'chunk', value: found.bytes.subarray(at, at + 65_536) } };
        },
      }),
    ],
  });
  return Object.assign(standIn, { address: server.address, stop: () => server.stop() });
}

export interface FeaturesStandIn {
  readonly address: string;
  readonly requests: GetOnlineFeaturesRequest[];
  stop(): Promise<void>;
}

/** Answers `view:delay` with ten times the key `origin`'s length, or nothing for the key `nowhere`. */
export async function startFeatures(): Promise<FeaturesStandIn> {
  const requests: GetOnlineFeaturesRequest[] = [];
  const server = await createServer({
    implementations: [
      partly(FeatureStoreService, {
        getOnlineFeatures: async (request) => {
          requests.push(request);
          const keys = request.keys as ColumnBatch;
          const origins = keys.columns.find((column) => column.name === 'origin')?.strings ?? [];
          const found = origins.map((origin) => origin !== 'nowhere');
          const validity = new Uint8Array(Math.ceil(origins.length / 8));
          for (const [i, is] of found.entries()) if (is) validity[i >> 3]! |= 1 << (i & 7);
          return {
            rowCount: keys.rowCount,
            features: request.features.map((feature) => ({
              feature,
              viewVersion: 1,
              values: {
                name: feature,
                type: ColumnType.DOUBLE,
                validity,
                doubles: origins.map((origin) => 10 * origin.length),
              },
              statuses: found.map((is) => (is ? FeatureStatus.PRESENT : FeatureStatus.NOT_FOUND)),
              eventTimes: found.map(() => 0n),
            })),
          };
        },
      }),
    ],
  });
  return { address: server.address, requests, stop: () => server.stop() };
}
