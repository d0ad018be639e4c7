/** A file of a run, as it is stored; its bytes are a blob. */
export interface Artifact {
  readonly project: string;
  readonly run: string;
  /** Segments joined by `/`, none of them empty, `.` or `..`. */
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

/** A line of a listing. */
export type ArtifactEntry =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string };

/** What a path is in the listing of a folder (`prefix` ends in `/` or is empty): the file itself or the folder it is in. */
export function entryOf(prefix: string, path: string): ArtifactEntry {
  const end = path.indexOf('/', prefix.length);
  return end === -1 ? { kind: 'file', path } : { kind: 'folder', path: path.slice(0, end) };
}
