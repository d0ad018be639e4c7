import { open, realpath } from 'node:fs/promises';
import { extname, isAbsolute, join, relative } from 'node:path';
import type { BlobStore } from '@millrace/blobs';
import { invalidField, isCoded } from '@millrace/errors';
import type { Source, SourceFormat } from './domain/definition.ts';

const extensions: Readonly<Record<SourceFormat, readonly string[]>> = {
  parquet: ['.parquet'],
  csv: ['.csv'],
  json_lines: ['.jsonl', '.ndjson'],
};

/** Finds the local file of a source, refusing whatever is not a plain file of its format below an allowed folder. */
export async function locateSource(
  source: Pick<Source, 'location' | 'format'>,
  roots: readonly string[],
  blobs: BlobStore,
): Promise<string> {
  const { location, format } = source;
  if (location.kind === 'blob') {
    const file = await blobs.localPath(location.digest).catch((error: unknown) => {
      if (isCoded(error, 'NOT_FOUND')) {
        throw invalidField(
          'source.digest',
          'no file of this digest was uploaded',
          'an answer of UploadSource',
        );
      }
      throw error;
    });
    await checkContent(file, format, 'source.digest');
    return file;
  }
  const file = await resolveBelow(location.path, roots);
  if (!extensions[format].includes(extname(file).toLowerCase())) {
    throw invalidField(
      'source.path',
      `the extension is ${extname(file) || 'missing'}`,
      extensions[format].join(', '),
    );
  }
  await checkContent(file, format, 'source.path');
  return file;
}

/**
 * The real path of a file that lies, links resolved, below one of the folders. Whatever is elsewhere is refused in the
 * same words as what does not exist, so that the answer tells nothing of other folders.
 */
async function resolveBelow(path: string, roots: readonly string[]): Promise<string> {
  const refused = () =>
    invalidField(
      'source.path',
      'there is no such file',
      'a file below a folder of SOURCE_ROOTS, without patterns',
    );
  // DuckDB would expand these.
  if (/[*?[\]{}\0]/.test(path)) throw refused();
  for (const root of roots) {
    try {
      const base = await realpath(root);
      const file = await realpath(isAbsolute(path) ? path : join(base, path));
      const inside = relative(base, file);
      if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) continue;
      if (!/[*?[\]{}]/.test(file)) return file;
    } catch {
      // Not below this folder; perhaps below another.
    }
  }
  throw refused();
}

async function checkContent(file: string, format: SourceFormat, field: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw invalidField(field, 'not a file', 'a file');
    const read = async (length: number, position: number) => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    };
    const head = await read(4096, 0);
    const refuse = (what: string) =>
      invalidField(field, `the content is not ${what}`, `a file of format ${format}`);
    if (format === 'parquet') {
      const tail = stat.size >= 12 ? await read(4, stat.size - 4) : head.subarray(0, 0);
      if (head.toString('latin1', 0, 4) !== 'PAR1' || tail.toString('latin1') !== 'PAR1')
        throw refuse('Parquet');
      return;
    }
    if (head.length === 0 || head.includes(0)) throw refuse('text');
    if (format === 'json_lines' && !/^\s*\{/.test(head.toString('utf8'))) throw refuse('JSON objects');
  } finally {
    await handle.close();
  }
}
