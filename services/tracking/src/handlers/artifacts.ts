import { type BlobStore, parseDigest } from '@millrace/blobs';
import {
  type ArtifactHeader,
  ArtifactHeaderSchema,
  TrackingService,
  type UploadArtifactRequest,
} from '@millrace/contracts/tracking';
import { invalidField } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { z } from 'zod';
import { refuseDeleted } from '../domain/run.ts';
import { toArtifact } from '../messages.ts';
import type { TrackingStore } from '../store/open.ts';
import { createPageTokens, pageSizeOf } from './page.ts';
import { type Once, parseRun } from './request.ts';

type Methods = 'uploadArtifact' | 'downloadArtifact' | 'getArtifact' | 'listArtifacts' | 'deleteArtifact';

const tokens = createPageTokens('artifacts', z.object({ path: z.string(), inclusive: z.boolean() }));
/** The most bytes in one message of a download. */
const chunkBytes = 256 * 1024;

export interface ArtifactHandlerOptions {
  readonly store: TrackingStore;
  readonly blobs: BlobStore;
  readonly once: Once;
  /** The largest file that is taken. */
  readonly maxBytes: number;
}

export function artifactHandlers(
  options: ArtifactHandlerOptions,
): Pick<Handlers<typeof TrackingService>, Methods> {
  const { store, blobs, once, maxBytes } = options;
  const { runs, artifacts } = store;
  return {
    async uploadArtifact(requests, { signal }) {
      const parts = requests[Symbol.asyncIterator]();
      const header = headerOf(await parts.next());
      const { project, id } = parseRun(header.run, 'header.run');
      refuseDeleted((await runs.get(project, id)).doc);
      const expect = header.digest ? { expect: parseDigest(header.digest, 'header.digest') } : {};
      const blob = await blobs.put(chunksOf(parts), { ...expect, maxBytes, signal });
      const { path, mediaType } = header;
      const { digest, sizeBytes } = blob;
      // Once by the header and the digest of the bytes: a retry that brings the same gets the same answer.
      const method = { ...TrackingService.method.uploadArtifact, input: ArtifactHeaderSchema };
      return once(method, project, { ...header, digest }, async (_, guard) => {
        const found = await artifacts.put({ project, run: id, path, digest, sizeBytes, mediaType }, guard);
        return { artifact: toArtifact(found) };
      });
    },

    async *downloadArtifact(request) {
      const { project, id } = parseRun(request.parent, 'parent');
      const found = await artifacts.get(project, id, request.path);
      const { sizeBytes } = found.doc;
      if (request.offset > BigInt(sizeBytes))
        throw invalidField('offset', `${request.offset} is beyond the end`, `0 to ${sizeBytes}`);
      const offset = Number(request.offset);
      const left = BigInt(sizeBytes - offset);
      const length = request.length === 0n || request.length > left ? Number(left) : Number(request.length);
      yield { artifact: toArtifact(found) };
      if (length === 0) return;
      const digest = parseDigest(found.doc.digest);
      const whole = length === sizeBytes;
      const bytes = whole ? blobs.get(digest) : blobs.get(digest, { offset, length });
      for await (const piece of bytes)
        for (let at = 0; at < piece.length; at += chunkBytes)
          yield { chunk: piece.subarray(at, at + chunkBytes) };
    },

    async getArtifact(request) {
      const { project, id } = parseRun(request.parent, 'parent');
      return { artifact: toArtifact(await artifacts.get(project, id, request.path)) };
    },

    async listArtifacts(request) {
      const { project, id } = parseRun(request.parent, 'parent');
      await runs.get(project, id);
      const { folder, recursive } = request;
      const scope = [request.parent, folder, recursive];
      const from = tokens.parse(scope, request.pageToken);
      const limit = pageSizeOf(request.pageSize);
      const { entries, next } = await artifacts.list({ project, run: id, folder, recursive, limit, from });
      return {
        entries: entries.map((entry) =>
          entry.kind === 'file'
            ? { path: entry.found.doc.path, kind: { case: 'file', value: toArtifact(entry.found) } }
            : { path: entry.path, kind: { case: 'folder', value: {} } },
        ),
        nextPageToken: next ? tokens.format(scope, next) : '',
      };
    },

    async deleteArtifact(request) {
      const { project, id } = parseRun(request.parent, 'parent');
      return once(TrackingService.method.deleteArtifact, project, request, async (eventId) => {
        await artifacts.remove(project, id, request.path, eventId);
        return {};
      });
    },
  };
}

function headerOf(first: IteratorResult<UploadArtifactRequest>): ArtifactHeader {
  if (!first.done && first.value.part.case === 'header') return first.value.part.value;
  throw invalidField('header', 'is not the first message', 'one message with the header, then the bytes');
}

async function* chunksOf(parts: AsyncIterator<UploadArtifactRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await parts.next();
    if (next.done) return;
    const { part } = next.value;
    if (part.case !== 'chunk') throw invalidField('chunk', 'is not set', 'bytes after the header');
    yield part.value;
  }
}
