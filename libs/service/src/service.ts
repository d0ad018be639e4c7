import type { DescService } from '@bufbuild/protobuf';
import type { BlobStore } from '@millrace/blobs';
import type { Config, SettingRows } from '@millrace/config';
import type { Context } from '@millrace/contracts';
import type { AnyCollectionSpec, DocumentStore } from '@millrace/documents';
import type { Bus, Subscription } from '@millrace/events';
import type { Client, Implementation, Permissions } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import type { commonSettings } from './common-settings.ts';
import type { BlobReferences } from './integrity/references.ts';
import type { Job } from './jobs.ts';

/** The settings every service has, as they were read. */
export type CommonConfig = Config<typeof commonSettings>;

/** What a service is built from. Everything here is opened by the service that asks for it and closed after it. */
export interface Deps {
  /** Opens the service's documents; once. */
  documents(collections: readonly AnyCollectionSpec[]): Promise<DocumentStore>;
  /** Opens the service's blobs; once. */
  blobs(): Promise<BlobStore>;
  readonly bus: Bus;
  readonly log: Logger;
  /** The service's own folder under DATA_DIR, for caches and work; made before `build` runs. */
  readonly folder: string;
  /** Milliseconds since 1970. */
  now(): number;
  /** A client of another service; its address comes from the settings. Calls fail with UNAVAILABLE while there is none. */
  client<S extends DescService>(service: S, context: Context): Client<S>;
}

/** What a built service consists of. */
export interface Parts {
  readonly implementations: readonly Implementation[];
  /** The documents whose event log is served and relayed. */
  readonly store: DocumentStore;
  /** Which blobs the documents refer to, for a service that has blobs: those that are missing are told of. */
  readonly blobReferences?: readonly BlobReferences[];
  /** Permissions of contracts that are not ours and declare none. */
  readonly permissions?: Permissions;
  /** Starts the subscriptions; called once NATS is reached, and not before the service answers. */
  subscriptions?(): Promise<readonly Subscription[]>;
  readonly jobs?: readonly Job[];
  /** Called when calls can be taken, with the address at which they are. */
  started?(address: string): Promise<void>;
  /** Called when no new call is taken any more, before the calls under way are waited for. */
  draining?(): Promise<void>;
  /** Closes what `build` opened itself; stores, bus and clients are closed for it. */
  close?(): Promise<void>;
}

/** A service: its name, its context, its settings and how it is built. */
export interface ServiceSpec<R extends SettingRows = SettingRows> {
  /** The name of its folder: `feature-store`. */
  readonly name: string;
  /** The context of its contracts: `features`. */
  readonly context: Context;
  /** `commonSettings` and its own. */
  readonly settings: R;
  /** @default the limit of libs/rpc */
  readonly maxMessageBytes?: number;
  build(config: Config<R> & CommonConfig, deps: Deps): Promise<Parts>;
}
