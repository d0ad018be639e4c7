export { digestOf, isDigest, parseDigest } from './digest.ts';
export { type OpenBlobsOptions, openBlobs } from './open.ts';
export type { BlobInfo, BlobStore, Digest, PutOptions } from './port.ts';
