import { open, stat } from 'node:fs/promises';
import { CodedError } from '@millrace/errors';

const chunkBytes = 64 * 1024;

/**
 * Reading a file that an attempt left failed. Its disk is not the storage that may be away for a while: this does not pass,
 * whatever the system calls it.
 */
export function unreadable(cause: NodeJS.ErrnoException): never {
  const message = `a file that the attempt left cannot be read${cause.code ? ` (${cause.code})` : ''}`;
  throw new CodedError('data_loss', 'LEFT_FILE_UNREADABLE', message, { cause });
}

/** The bytes of a file; 0 when there is none. Throws LEFT_FILE_UNREADABLE. */
export async function sizeOf(path: string): Promise<number> {
  const absent = (error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? { size: 0 } : unreadable(error);
  return (await stat(path).catch(absent)).size;
}

/** Reads a file that an attempt left. Throws LEFT_FILE_UNREADABLE; what whoever takes the bytes throws stays as it is. */
export async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, 'r').catch(unreadable);
  for (;;) {
    const { buffer, bytesRead } = await file
      .read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes)
      .catch(unreadable);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
