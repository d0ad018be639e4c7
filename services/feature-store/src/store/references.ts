import { type BlobReferences, refersTo } from '@millrace/service';
import { pushes, sources, trainingSets } from './collections.ts';

/** Uploaded source files, pushed rows too large for a document, and the rows of training sets, given and made. */
export const blobReferences: readonly BlobReferences[] = [
  refersTo(sources, ['project'], ({ location }) => (location.kind === 'blob' ? [location.digest] : [])),
  refersTo(pushes, ['uid'], ({ digest }) => [digest]),
  refersTo(trainingSets, ['project', 'createdMs'], ({ entityRows, digest }) =>
    entityRows.kind === 'rows' ? [entityRows.digest, digest] : [digest],
  ),
];
