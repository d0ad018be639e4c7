import { type Context, streamOf } from '@millrace/contracts';
import type { DocumentStore } from '@millrace/documents';
import { unavailable } from '@millrace/errors';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { StreamState, Streams } from '../port.ts';
import { streamAgeMs } from '../stream.ts';
import { findLoss, markOf } from './gap.ts';
import { createMarks, type Placed } from './marks.ts';
import { refillStream } from './refill.ts';

/** A loss that the relay noticed and made good. */
export interface Gap {
  readonly context: Context;
  /** What was seen. */
  readonly reason: string;
  /** How many events were published again. */
  readonly published: number;
}

export interface CheckOptions {
  readonly store: Pick<DocumentStore, 'events' | 'cursors'>;
  readonly bus: Streams;
  readonly context: Context;
  /** The name of the relay's cursor. */
  readonly cursor: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

/** Compares a stream with what is remembered of it, and puts back what it lost. */
export function createCheck(options: CheckOptions) {
  const { store, bus, context, cursor, log, clock } = options;
  const { name } = streamOf(context);
  const marks = createMarks(store.cursors, cursor);
  let newest: Placed | undefined;

  async function findReason(state: StreamState, position: number): Promise<string | undefined> {
    const [now, before] = [markOf(state, clock.now()), await marks.read()];
    if (position > 0 && now.last === 0) return 'the stream is empty, but events were published';
    const loss = before && findLoss(before, now, streamAgeMs, clock.now());
    if (loss || !newest || newest.at < now.first) return loss;
    // Others publish to the stream too: only the message itself shows that the end was not lost and overgrown.
    const message = await bus.readMessage(name, newest.at);
    const held = Number(message?.headers?.get('ce-sequence') ?? 0);
    return held === newest.sequence ? undefined : `event ${newest.sequence} is not at ${newest.at} any more`;
  }

  /** Puts back what is missing, and tells how much that was. */
  async function refill(position: number): Promise<number> {
    const sinceMs = clock.now() - streamAgeMs;
    // Beyond the position too: another relay may be about to move it on what was lost.
    const done = await refillStream({ store, bus, context, to: position, beyond: true, sinceMs });
    newest = done.newest;
    await marks.replaceNewest(newest ?? { at: 0, sequence: 0 });
    return done.published;
  }

  async function requireState(): Promise<StreamState> {
    const state = await bus.readState(name);
    if (!state) throw unavailable(`stream ${name}`);
    return state;
  }

  return {
    /** Compares, and tells the gap that was found and refilled. */
    async compare(): Promise<Gap | undefined> {
      // Another replica may have come further than this one.
      const position = await store.cursors.get(cursor);
      newest = await marks.readNewest();
      const state = await requireState();
      const reason = await findReason(state, position);
      if (reason)
        log.warn({ stream: name, reason }, 'the stream lost events; publishing them again from the record');
      const published = reason ? await refill(position) : 0;
      // As it was before: what gets lost meanwhile must differ from it.
      await marks.write(markOf(state, clock.now()));
      if (!reason) return undefined;
      const gap = { context, reason, published };
      log.warn({ stream: name, ...gap }, `the stream was refilled with ${published} events`);
      options.onGap?.(gap);
      return gap;
    },
    /**
     * Remembers where events were stored; to be called before the cursor passes them. Throws `unavailable` when one was
     * stored before an older one: then the stream lost its end.
     */
    async remember(stored: readonly (Placed & { readonly fresh: boolean })[]): Promise<void> {
      const known = newest?.at ?? 0;
      if (stored.some(({ at, fresh }) => fresh && at <= known))
        throw unavailable(`stream ${name} lost messages that it had acknowledged; it`);
      // The end is what a stream loses first, so the last of all is looked for.
      const last = stored.reduce<Placed | undefined>((a, b) => (a && a.at > b.at ? a : b), newest);
      if (!last || last.at <= known) return;
      newest = { at: last.at, sequence: last.sequence };
      await marks.writeNewest(newest);
    },
  };
}
