import type { Step } from '../domain/spec.ts';
import type { TaskOutput } from '../domain/task.ts';
import type { Store } from '../store/store.ts';

interface CachedResult {
  readonly outputs: readonly TaskOutput[];
  /** `RUN/KEY` */
  readonly task: string;
}

/** Results that may be reused, and who computes what at the moment. */
export interface ResultCache {
  find(project: string, key: string, policy: NonNullable<Step['cache']>): Promise<CachedResult | undefined>;
  /** Claims a computation; false while another task of this process does it, after which `onFree` is called. */
  claim(project: string, key: string, owner: string, onFree: () => void): boolean;
  free(project: string, key: string, owner: string): void;
  put(project: string, key: string, result: CachedResult): Promise<void>;
}

export function createResultCache(store: Store, now: () => number): ResultCache {
  const computing = new Map<string, { owner: string; waiting: (() => void)[] }>();
  return {
    async find(project, key, { maxAgeMs }) {
      const found = (await store.cache.get(`${project}/${key}`))?.doc;
      if (!found || (maxAgeMs !== undefined && now() - found.createdAtMs > maxAgeMs)) return undefined;
      return { outputs: found.outputs, task: found.task };
    },
    claim(project, key, owner, onFree) {
      const id = `${project}/${key}`;
      const held = computing.get(id);
      if (!held) computing.set(id, { owner, waiting: [] });
      else if (held.owner !== owner) held.waiting.push(onFree);
      return !held || held.owner === owner;
    },
    free(project, key, owner) {
      const id = `${project}/${key}`;
      const held = computing.get(id);
      if (held?.owner !== owner) return;
      computing.delete(id);
      for (const wake of held.waiting) wake();
    },
    async put(project, key, { outputs, task }) {
      const doc = { project, key, task, outputs, createdAtMs: now() };
      await store.cache.upsert(`${project}/${key}`, () => ({ doc }));
    },
  };
}
