import type { Collection, Versioned } from '@millrace/documents';
import { type KeySide, type OnlineDoc, readSide } from '../store/online-doc.ts';

/** A key's rows, ready to be evaluated: those of the source and those that were pushed. */
export type KeyState = readonly KeySide[];

export interface KeyCache {
  /** The states of several keys by document id; undefined where the store has none. */
  get(ids: readonly string[]): Promise<(KeyState | undefined)[]>;
  /** Takes what was just written. */
  put(written: Versioned<OnlineDoc>): void;
}

interface Slot {
  readonly version: number;
  readonly state: KeyState | undefined;
  readonly readAtMs: number;
}

/**
 * Keys in memory in front of the online store. Writes of this process go through it, so it never misses one of its own;
 * what another replica wrote is seen when `maxAgeMs` has passed. An older version never replaces a newer one, in
 * whatever order reads and writes end.
 */
export function createKeyCache(
  online: Collection<OnlineDoc>,
  options: { readonly maxKeys: number; readonly maxAgeMs: number; now(): number },
): KeyCache {
  const slots = new Map<string, Slot>();
  const { maxKeys, maxAgeMs, now } = options;

  function keep(id: string, doc: Versioned<OnlineDoc> | undefined): KeyState | undefined {
    const version = doc?.version ?? 0;
    const known = slots.get(id);
    const state =
      known && known.version >= version
        ? known.state
        : doc && [readSide(doc.doc.batch), readSide(doc.doc.pushed)];
    slots.delete(id);
    slots.set(id, { version: Math.max(version, known?.version ?? 0), state, readAtMs: now() });
    // A Map keeps the order of insertion: the first is what was used longest ago.
    if (slots.size > maxKeys) slots.delete(slots.keys().next().value!);
    return state;
  }

  return {
    async get(ids) {
      const oldest = now() - maxAgeMs;
      const found = ids.map((id) => {
        const slot = slots.get(id);
        return slot && slot.readAtMs >= oldest ? slot : undefined;
      });
      const missing = [...new Set(ids.filter((_, i) => !found[i]))];
      const read = new Map<string, KeyState | undefined>();
      if (missing.length > 0) {
        const docs = await online.getMany(missing);
        missing.forEach((id, i) => {
          read.set(id, keep(id, docs[i]));
        });
      }
      return ids.map((id, i) => (found[i] ? found[i].state : read.get(id)));
    },
    put: (written) => {
      keep(written.id, written);
    },
  };
}
