import type { Leases } from '@millrace/documents';

/** Which parts of the work are this process's. Replicas share them out; what a lost one held is taken over within a lease. */
export interface Shards {
  /** Whether work of this key is ours now. */
  owns(key: string): boolean;
  /** Takes and extends leases; answers which shards were lost. */
  renew(): Promise<readonly number[]>;
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
  const until = new Map<number, number>();
  const nameOf = (shard: number) => `orchestrator-shard-${shard}`;
  if (predecessor !== undefined)
    for (let shard = 0; shard < count; shard++) await leases.release(nameOf(shard), predecessor);

  const shardOf = (key: string): number => {
    let hash = 0;
    for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
    return (hash >>> 0) % count;
  };
  return {
    shardOf,
    owns: (key) => (until.get(shardOf(key)) ?? 0) > clock(),
    async renew() {
      const lost: number[] = [];
      for (let shard = 0; shard < count; shard++) {
        // Counted from before the call: the store's clock started no earlier.
        const begun = clock();
        const held = await leases.acquire(nameOf(shard), owner, leaseMs).catch(() => undefined);
        if (held) until.set(shard, begun + leaseMs);
        else if (until.has(shard) && (until.get(shard) ?? 0) <= clock()) {
          until.delete(shard);
          lost.push(shard);
        }
      }
      return lost;
    },
    async release() {
      for (const shard of until.keys()) await leases.release(nameOf(shard), owner);
      until.clear();
    },
  };
}
