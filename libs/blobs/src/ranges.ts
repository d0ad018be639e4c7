import type { Digest } from './port.ts';
import { verified } from './stream.ts';

/** Digests remembered as verified; of more, the one verified first is forgotten. */
const mostRemembered = 10_000;

/** What part of a blob is asked for, in bytes. */
export interface Range {
  readonly offset: number;
  /** @default all that follows */
  readonly length?: number;
}

/**
 * Ranges of blobs. A digest says nothing of a part, so the first range of a blob reads all of it and fails at its end as
 * a whole read would. Later ranges read only themselves, as long as the blob's mark is the one it had then.
 */
export function createRanges(
  /** Another one as soon as the stored bytes are written to; NOT_FOUND if absent. */
  markOf: (digest: Digest) => Promise<string>,
  read: (digest: Digest, offset?: number, length?: number) => AsyncIterable<Uint8Array>,
): (digest: Digest, range: Range) => AsyncIterable<Uint8Array> {
  const marks = new Map<Digest, string>();
  return async function* (digest, { offset, length = Number.POSITIVE_INFINITY }) {
    const mark = await markOf(digest);
    if (marks.get(digest) === mark) {
      yield* read(digest, offset, length);
      return;
    }
    let at = 0;
    for await (const chunk of verified(digest, read(digest))) {
      const wanted = chunk.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at));
      at += chunk.byteLength;
      if (wanted.byteLength > 0) yield wanted;
    }
    marks.set(digest, mark);
    for (const oldest of marks.keys()) {
      if (marks.size <= mostRemembered) break;
      marks.delete(oldest);
    }
  };
}
