import type { Cursors } from '@millrace/documents';
import type { StreamMark } from './gap.ts';

/** Where the stream holds an event of the record. */
export interface Placed {
  /** Its position in the stream. */
  readonly at: number;
  /** Its sequence number in the record. */
  readonly sequence: number;
}

const always = { force: true };

/** Keeps what is remembered of a stream in the store, as numbers beside the relay's cursor. */
export function createMarks(cursors: Cursors, cursor: string) {
  const get = (part: string) => cursors.get(`${cursor}/${part}`);
  // After a loss every number may go back.
  const set = (part: string, value: number) => cursors.set(`${cursor}/${part}`, value, always);
  return {
    /** The mark of the last check; undefined before the first. */
    async read(): Promise<StreamMark | undefined> {
      const parts = ['created', 'first', 'last', 'first-time', 'holes', 'fill'].map(get);
      const [createdMs = 0, first = 0, last = 0, firstMs = 0, holes = 0, fill = 0] = await Promise.all(parts);
      return createdMs === 0 ? undefined : { createdMs, first, last, firstMs, holes, fill: fill / 100 };
    },
    async write(mark: StreamMark): Promise<void> {
      await Promise.all([
        set('first', mark.first),
        set('last', mark.last),
        set('first-time', mark.firstMs),
        set('holes', mark.holes),
        set('fill', Math.floor(mark.fill * 100)),
      ]);
      // Last: half a mark must not pass for one of the new stream.
      await set('created', mark.createdMs);
    },
    /** The newest acknowledged event and where it is; undefined when none is remembered. */
    async readNewest(): Promise<Placed | undefined> {
      const [at = 0, sequence = 0] = await Promise.all([get('newest-at'), get('newest')]);
      return at > 0 ? { at, sequence } : undefined;
    },
    /** Never goes back: another relay may have come further. */
    async writeNewest({ at, sequence }: Placed): Promise<void> {
      await Promise.all([cursors.set(`${cursor}/newest-at`, at), cursors.set(`${cursor}/newest`, sequence)]);
    },
    /** After a loss. */
    async replaceNewest({ at, sequence }: Placed): Promise<void> {
      await Promise.all([set('newest-at', at), set('newest', sequence)]);
    },
  };
}
