import { type BlobReferences, refersTo } from '@millrace/service';
import { versionSpec } from './collections.ts';

/** The bytes of versions that are not deleted. */
export const blobReferences: readonly BlobReferences[] = [
  refersTo(versionSpec, ['modelKey', 'live', 'version'], ({ state, digest }) =>
    state === 'DELETED' ? [] : [digest],
  ),
];
