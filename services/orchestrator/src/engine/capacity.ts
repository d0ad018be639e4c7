import type { Resources } from '../domain/spec.ts';

/** What the executor has and what is taken of it. */
export interface Capacity {
  /** Whether anything at all is free. */
  hasRoom(): boolean;
  /** Takes what a task needs; false when there is not enough. A task that asks for more than there is runs alone. */
  take(id: string, need: Resources): boolean;
  /** Takes without asking, for work that runs already. */
  force(id: string, need: Resources): void;
  give(id: string): void;
}

/** Keeps count of an executor's capacity; `onRoom` is called when something was given back. */
export function createCapacity(
  total: { readonly cpu: number; readonly memoryBytes: number },
  onRoom: () => void,
): Capacity {
  const taken = new Map<string, Resources>();
  let cpu = 0;
  let memoryBytes = 0;
  // Set when somebody was turned away since room was last given back.
  let wanted = false;
  // Sums of tenths are not exact.
  const slack = 1e-9;
  const add = (need: Resources, sign: 1 | -1) => {
    cpu += sign * need.cpu;
    memoryBytes += sign * need.memoryBytes;
    if (taken.size === 0) cpu = 0;
  };
  const force = (id: string, need: Resources) => {
    if (taken.has(id)) return;
    taken.set(id, need);
    add(need, 1);
  };
  return {
    hasRoom() {
      const room = taken.size === 0 || cpu < total.cpu - slack;
      wanted ||= !room;
      return room;
    },
    take(id, need) {
      const fits = cpu + need.cpu <= total.cpu + slack && memoryBytes + need.memoryBytes <= total.memoryBytes;
      if (taken.size > 0 && !fits) {
        wanted = true;
        return false;
      }
      force(id, need);
      return true;
    },
    force,
    give(id) {
      const had = taken.get(id);
      if (!had) return;
      taken.delete(id);
      add(had, -1);
      if (!wanted) return;
      wanted = false;
      onRoom();
    },
  };
}
