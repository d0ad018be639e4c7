import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';

/** A log of this size is set aside when its service starts anew; one such is kept. */
const rotateBytes = 32 * 1024 * 1024;

/** Opens a log to append to. */
export function openLog(path: string): number {
  try {
    if (statSync(path).size > rotateBytes) renameSync(path, `${path}.1`);
  } catch {
    // There is none yet.
  }
  return openSync(path, 'a');
}

/** The last lines of a log; none when it cannot be read. */
export function lastLines(path: string, count: number): string[] {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const tail = Buffer.alloc(Math.min(size, 16_384));
    readSync(file, tail, 0, tail.length, size - tail.length);
    return tail.toString('utf8').trimEnd().split('\n').slice(-count);
  } catch {
    return [];
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
