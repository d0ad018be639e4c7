import { basename, join } from 'node:path';
import { type BlobStore, openBlobs } from '@millrace/blobs';
import { type AnyCollectionSpec, type DocumentStore, openDocuments } from '@millrace/documents';
import type { CodedError } from '@millrace/errors';
import type { CommonConfig } from './service.ts';

/** Where a service keeps what it owns. */
export interface Place {
  /** The service's folder under DATA_DIR. */
  readonly folder: string;
  /** The context, which names its database and its part of the object store. */
  readonly context: string;
  readonly config: CommonConfig;
}

interface StoreOptions {
  readonly now?: () => number;
  readonly onFatal?: (error: CodedError) => void;
}

/** Opens a service's documents: its own database in MongoDB, or a SQLite file in its folder. */
export function openOwnDocuments(
  { folder, context, config }: Place,
  collections: readonly AnyCollectionSpec[],
  { now, onFatal }: StoreOptions,
): Promise<DocumentStore> {
  const { MONGODB_URL } = config;
  const url = MONGODB_URL ? databaseOf(MONGODB_URL, context) : `sqlite:${join(folder, 'documents.db')}`;
  const name = `the document store of ${basename(folder)}`;
  return openDocuments({ url, collections, name, ...(now ? { now } : {}), ...(onFatal ? { onFatal } : {}) });
}

/** Opens a service's blobs: below the URL's, under the context, so that what one removes another keeps; or files in its folder. */
export function openOwnBlobs(
  { folder, context, config }: Place,
  { onFatal }: Pick<StoreOptions, 'onFatal'>,
): Promise<BlobStore> {
  const url = config.BLOBS_URL
    ? `${config.BLOBS_URL.replace(/\/$/, '')}/${context}`
    : `file:${join(folder, 'blobs')}`;
  return openBlobs({ url, cacheDir: join(folder, 'blob-cache'), ...(onFatal ? { onFatal } : {}) });
}

/** Each service has a database of its own: the URL's with the context behind it. */
function databaseOf(text: string, context: string): string {
  const url = new URL(text);
  const base = url.pathname.slice(1) || 'millrace';
  url.pathname = `/${base}_${context}`;
  return url.href;
}
