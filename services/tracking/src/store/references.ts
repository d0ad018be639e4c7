import { type BlobReferences, refersTo } from '@millrace/service';
import { artifactsSpec } from './collections.ts';

/** The files of runs, also of deleted ones: these can be restored. */
export const blobReferences: readonly BlobReferences[] = [
  refersTo(artifactsSpec, ['run', 'path'], ({ digest }) => [digest]),
];
