import type { Collection, Versioned } from '@millrace/documents';
import { type KeySide, type OnlineDoc, readSide } from '../store/online-doc.ts';

/** A key's rows, ready to be evaluated: those of the source and those that were pushed. */
export type KeyState = readonly KeySide[];

export interface KeyCache {
  /** The states of several keys by document id; undefined where the store has none. */
  get(ids: readonly string[]): Promise<(KeyState | undefined)[]>;
  /** To be asked before a write, and given with what was written: other processes may write as well. */
  moment(): Promise<Moment>;
  /** Takes what was just written. */
  put(written: Versioned<OnlineDoc>, before: Moment): void;
}

/** What the store said of other processes' writes. */
type Moment = number | undefined;

interface Slot {
  readonly version: number;
  readonly state: KeyState | undefined;
  readonly readAtMs: number;
  /** The moment before it was read or written. */
  readonly moment: Moment;
}

/**
 * Keys in memory in front of the online store. Writes of this process go through it, so it never misses one of its own.
 * What another process wrote is seen at once where the store can tell that one wrote, else when `maxAgeMs` has passed.
 * An older version never replaces a newer one, in whatever order reads and writes end.
 */
export function createKeyCache(
  online: Collection<OnlineDoc>,
  options: {
    readonly maxKeys: number;
    readonly maxAgeMs: number;
    foreignWrites(): Promise<number | undefined>;
    now(): number;
  },
): KeyCache {
  const slots = new Map<string, Slot>();
  const { maxKeys, maxAgeMs, foreignWrites, now } = options;

  function keep(id: string, doc: Versioned<OnlineDoc> | undefined, moment: Moment): KeyState | undefined {
    const version = doc?.version ?? 0;
    const known = slots.get(id);
    const state =
      known && known.version >= version
        ? known.state
        : doc && [readSide(doc.doc.batch), readSide(doc.doc.pushed)];
    slots.delete(id);
    slots.set(id, { version: Math.max(version, known?.version ?? 0), state, readAtMs: now(), moment });
    // A Map keeps the order of insertion: the first is what was read longest ago.
    if (slots.size > maxKeys) slots.delete(slots.keys().next().value!);
    return state;
  }

  return {
    async get(ids) {
      const moment = await foreignWrites();
      const oldest = now() - maxAgeMs;
      const isFresh = (slot: Slot) =>
        moment === undefined ? slot.readAtMs >= oldest : slot.moment === moment;
      const states: (KeyState | undefined)[] = [];
      const missing = new Map<string, number[]>();
      for (const [i, id] of ids.entries()) {
        const slot = slots.get(id);
        if (slot && isFresh(slot)) states[i] = slot.state;
        else if (missing.has(id)) missing.get(id)!.push(i);
        else missing.set(id, [i]);
      }
      if (missing.size > 0) {
        const docs = await online.getMany([...missing.keys()]);
        let at = 0;
        for (const [id, places] of missing) {
          const state = keep(id, docs[at++], moment);
          for (const i of places) states[i] = state;
        }
      }
      return states;
    },
    moment: foreignWrites,
    put: (written, before) => {
      keep(written.id, written, before);
    },
  };
}
