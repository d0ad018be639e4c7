import { CodedError } from '@millrace/errors';

/** What may be in memory at the same time. */
export interface ResidencyLimits {
  readonly maxModels: number;
  readonly maxBytes: number;
}

/** A model in memory, asked to make room. */
export interface Tenant {
  /** Whether a run is under way or a request waits. */
  readonly busy: boolean;
  /** Ends its runs and gives its memory back. */
  leave(): Promise<void>;
  /** It has left, and its room is free: it may enter again. */
  left(): void;
}

/**
 * Who is in memory. Room is taken before a model is loaded and given back after it was unloaded, so that there is never more
 * than the limits allow. Who was used longest ago and has nothing to do makes room; if all have something to do, who was used
 * longest ago, between its runs.
 */
export interface Residency {
  /** Takes room for a load, making it first if need be. MEMORY_BUDGET when there can never be so much. */
  enter(key: string, bytes: number): Promise<void>;
  /** The load has ended and takes so much in truth; from now on the model may be asked to leave. */
  settle(key: string, bytes: number, tenant: Tenant): Promise<void>;
  /** Keeps a model in while it is loaded once more; `settle` ends it. */
  hold(key: string): void;
  /** The model was used. */
  touch(key: string): void;
  /** Gives room back: the model is unloaded, or could not be loaded. */
  leave(key: string): void;
  readonly models: number;
  readonly bytes: number;
  /** How often a model had to make room. */
  readonly evictions: number;
}

interface Room {
  bytes: number;
  /** Undefined while it loads or leaves. */
  tenant: Tenant | undefined;
}

export function createResidency(limits: ResidencyLimits): Residency {
  // In the order of their last use.
  const rooms = new Map<string, Room>();
  let bytes = 0;
  let evictions = 0;
  let change = Promise.withResolvers<void>();

  const changed = () => {
    change.resolve();
    change = Promise.withResolvers();
  };
  const free = (key: string) => {
    bytes -= rooms.get(key)?.bytes ?? 0;
    rooms.delete(key);
    changed();
  };
  const victim = (except: string) => {
    let used: [string, Tenant] | undefined;
    for (const [key, { tenant }] of rooms) {
      if (!tenant || key === except) continue;
      if (!tenant.busy) return [key, tenant] as const;
      used ??= [key, tenant];
    }
    return used;
  };
  const evict = async ([key, tenant]: readonly [string, Tenant]) => {
    evictions += 1;
    (rooms.get(key) as Room).tenant = undefined;
    await tenant.leave();
    free(key);
    tenant.left();
  };
  const fits = (needed: number) => rooms.size < limits.maxModels && bytes + needed <= limits.maxBytes;

  return {
    async enter(key, needed) {
      if (needed > limits.maxBytes) throw budgetError(needed, limits.maxBytes);
      // Room is taken in the same turn in which it was seen, so that two cannot take it.
      while (!fits(needed)) {
        const found = victim(key);
        await (found ? evict(found) : change.promise);
      }
      bytes += needed;
      rooms.set(key, { bytes: needed, tenant: undefined });
    },
    async settle(key, measured, tenant) {
      const room = rooms.get(key);
      if (!room) return;
      bytes += measured - room.bytes;
      room.bytes = measured;
      room.tenant = tenant;
      changed();
      const over = victim(key);
      if (bytes > limits.maxBytes && over) await evict(over);
    },
    hold(key) {
      const room = rooms.get(key);
      if (room) room.tenant = undefined;
    },
    touch(key) {
      const room = rooms.get(key);
      if (!room) return;
      rooms.delete(key);
      rooms.set(key, room);
    },
    leave: free,
    get models() {
      return rooms.size;
    },
    get bytes() {
      return bytes;
    },
    get evictions() {
      return evictions;
    },
  };
}

function budgetError(neededBytes: number, budgetBytes: number): CodedError {
  return new CodedError(
    'resource_exhausted',
    'MEMORY_BUDGET',
    `about ${neededBytes} bytes are needed; allowed: ${budgetBytes} (MEMORY_BUDGET_BYTES)`,
    { retryAfterMs: 1000 },
  );
}
