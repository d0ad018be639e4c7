import { CodedError } from '@millrace/errors';
import type { LocalSource } from './relation.ts';

/** A file that an engine may read, and what callers call it. */
export type NamedFile = Pick<LocalSource, 'name' | 'file'>;

/**
 * DuckDB's error without the paths of this machine, which stay in its cause for the log. A source that it tells of is
 * named in its first line, because only that is shown to callers.
 */
export function withoutPaths(caught: unknown, files: readonly NamedFile[], folder: string): unknown {
  if (!(caught instanceof Error) || caught instanceof CodedError) return caught;
  let text = caught.message;
  // The path of one may begin with that of another.
  for (const { name, file } of files.toSorted((a, b) => b.file.length - a.file.length)) {
    if (!text.includes(file)) continue;
    text = text.replaceAll(`"${file}"`, name).replaceAll(file, name);
    const [line = '', ...rest] = text.split('\n');
    if (!line.includes(name)) text = [`${line} of ${name}`, ...rest].join('\n');
  }
  return new Error(text.replaceAll(folder, 'the work folder'), { cause: caught });
}
