export { commonSettings } from './common-settings.ts';
export { type BlobReferences, referencedBlobs, refersTo } from './integrity/references.ts';
export type { Job } from './jobs.ts';
export { type MutateOptions, type Mutation, mutate } from './mutate.ts';
export { expectOf, pageOf, versionOfEtag } from './request.ts';
export { type ReadyLine, runService } from './run.ts';
export type { CommonConfig, Deps, Parts, ServiceSpec } from './service.ts';
export { type RunningService, type StartOptions, startService } from './start.ts';
export { type WatchOptions, watchEvents } from './watch.ts';
