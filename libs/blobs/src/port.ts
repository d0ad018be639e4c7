/** The object store port: content-addressed bytes. A blob's name is its digest, so it never changes. */

import type { CodedError } from '@millrace/errors';
import type { Range } from './ranges.ts';

/** `sha256:` and 64 lowercase hexadecimal digits. */
export type Digest = `sha256:${string}`;

export interface BlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface PutOptions {
  /** Refuse with DIGEST_MISMATCH (invalid_argument) unless the bytes have this digest. */
  readonly expect?: Digest;
  /** Refuse with TOO_LARGE beyond this. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

interface SweepOptions {
  /** Milliseconds since the last put or touch, by the store's time. */
  readonly unusedMs: number;
  keep(digest: Digest): boolean;
  readonly signal?: AbortSignal;
}

/** A blob that was read whole. */
export interface Verified {
  readonly digest: Digest;
  /** DIGEST_MISMATCH or BLOB_UNREADABLE; absent when it is sound. */
  readonly damage?: CodedError;
}

export interface BlobStore {
  /** Stores bytes; durable when it answers. Putting what is there already answers the same, and mends it if it was damaged. */
  put(bytes: Uint8Array | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<BlobInfo>;
  /**
   * Reads all of a blob or a range, verified against the digest: bytes that changed fail at the end (DIGEST_MISMATCH,
   * data_loss), bytes that cannot be read where they begin (BLOB_UNREADABLE, data_loss). NOT_FOUND if absent. The first
   * range of a blob reads all of it, later ones only themselves until the stored bytes are written to.
   */
  get(digest: Digest, range?: Range): AsyncIterable<Uint8Array>;
  /** The whole blob in memory, verified. */
  bytes(digest: Digest, options?: { readonly maxBytes?: number }): Promise<Uint8Array>;
  /** A local file with the blob's bytes, verified: the stored file itself or a cached copy. Read only. */
  localPath(digest: Digest): Promise<string>;
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  /** As `stat`, and to a sweep the blob is as if it was put now: for whoever is about to refer to it. */
  touch(digest: Digest): Promise<BlobInfo | undefined>;
  list(options?: { readonly after?: Digest; readonly limit?: number }): Promise<readonly BlobInfo[]>;
  remove(digest: Digest): Promise<void>;
  /**
   * Removes the blobs that nobody wants to keep; answers how many. One that was put or touched within `unusedMs` stays,
   * also when that happens while this runs: who is about to refer to it has that long.
   */
  sweep(options: SweepOptions): Promise<number>;
  /** A URL from which the blob can be fetched for a while; undefined where the store has no such thing (files). */
  presign(digest: Digest, options: { readonly expiresInS: number }): Promise<string | undefined>;
  /** Reads every blob and tells which are damaged. Throws at its end when some could not be verified. */
  verify(options?: { readonly signal?: AbortSignal }): AsyncIterable<Verified>;
  check(): Promise<void>;
  close(): Promise<void>;
}
