import type { WriteOptions } from './port.ts';

/** How many answered causes and request ids a document remembers at least. */
export const keptMarks = 256;

/** What a document remembers of a write, so that the same write again changes nothing. */
export function marksOf(options: WriteOptions): string[] {
  const marks: string[] = [];
  if (options.cause) marks.push(`cause:${options.cause}`);
  if (options.requestId) marks.push(`request:${options.requestId}`);
  return marks;
}
