import { registryEvents } from '@millrace/contracts/registry-events';
import { type Bus, handler, type Log, type Subscription, subscribe } from '@millrace/events';
import { followAlias } from './domain/rollout.ts';
import type { Reconciler } from './serve/reconciler.ts';
import type { ServingStore } from './store.ts';

export interface SubscriptionParts {
  readonly bus: Bus;
  readonly store: ServingStore;
  readonly reconciler: Reconciler;
  now(): number;
  readonly log: Log;
}

/** What serving listens to: an alias moved or was removed, so the deployments that follow it change their version. */
export async function subscribeServing(parts: SubscriptionParts): Promise<readonly Subscription[]> {
  const { store, reconciler } = parts;
  const follow = async (cause: string, move: Parameters<typeof followAlias>[1]) => {
    for (const { id, doc } of await store.all()) {
      if (!doc.spec.targets.some((t) => t.model === move.model && t.alias === move.alias)) continue;
      await store.change(id, (current) => followAlias(current, move, parts.now()), { cause });
      // Loading takes its time and has its own retries; the event is handled once the wish is recorded.
      void reconciler
        .reconcile(id)
        .catch((err: unknown) => parts.log.warn({ err, id }, 'a deployment is not in its state'));
    }
  };
  const subscription = await subscribe(parts.bus, {
    durable: 'serving-aliases',
    on: [
      handler(registryEvents.aliasMoved, ({ id, data }) =>
        follow(id, {
          model: data.model,
          alias: data.alias,
          version: data.version,
          revision: Number(data.revision),
        }),
      ),
      handler(registryEvents.aliasRemoved, ({ id, data }) =>
        follow(id, { model: data.model, alias: data.alias, version: 0, revision: Number(data.revision) }),
      ),
    ],
    log: parts.log,
  });
  return [subscription];
}
