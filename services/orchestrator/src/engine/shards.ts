import type { Leases } from '@millrace/documents';

/** Which parts of the work are this process's. Replicas share them out; what a lost one held is taken over within a lease. */
export interface Shards {
  readonly count: number;
  /** Whether work of this key is ours now. */
  owns(key: string): boolean;
  /** The fencing token of a shard that is ours: another one means that somebody else may have had it in between. */
  tokenOf(shard: number): number | undefined;
  /** Takes and extends leases. `onLost` is told at once of shards that were lost, also when they are ours again. */
  renew(onLost?: (shard: number) => void): Promise<void>;
  shardOf(key: string): number;
  release(): Promise<void>;
}

export interface ShardOptions {
  readonly leases: Leases;
  /** A name no other process ever had. */
  readonly owner: string;
  /** A process that is dead and cannot write any more: its leases are given back at once. */
  readonly predecessor?: string;
  readonly count: number;
  readonly leaseMs: number;
  /** A clock that never jumps. @default performance.now */
  readonly monotonicMs?: () => number;
}

export async function createShards(options: ShardOptions): Promise<Shards> {
  const { leases, owner, predecessor, count, leaseMs } = options;
  const clock = options.monotonicMs ?? (() => performance.now());
  const held = new Map<number, { readonly token: number; readonly untilMs: number }>();
  const nameOf = (shard: number) => `orchestrator-shard-${shard}`;
  if (predecessor !== undefined)
    for (let shard = 0; shard < count; shard++) await leases.release(nameOf(shard), predecessor);

  const shardOf = (key: string): number => {
    let hash = 0;
    for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
    return (hash >>> 0) % count;
  };
  return {
    count,
    shardOf,
    tokenOf: (shard) => held.get(shard)?.token,
    owns: (key) => (held.get(shardOf(key))?.untilMs ?? 0) > clock(),
    async renew(onLost = () => {}) {
      for (let shard = 0; shard < count; shard++) {
        // Counted from before the call: the store's clock started no earlier.
        const begun = clock();
        // What the store could not answer is known when the lease has run out.
        const answer = await leases.acquire(nameOf(shard), owner, leaseMs).catch(() => 'unknown' as const);
        const before = held.get(shard);
        if (answer === 'unknown' && (!before || before.untilMs > clock())) continue;
        const token = typeof answer === 'object' ? answer.token : undefined;
        // Another token: it had run out, and others may have held it in between.
        if (token === undefined) held.delete(shard);
        else held.set(shard, { token, untilMs: begun + leaseMs });
        if (before && before.token !== token) onLost(shard);
      }
    },
    async release() {
      for (const shard of held.keys()) await leases.release(nameOf(shard), owner);
      held.clear();
    },
  };
}
