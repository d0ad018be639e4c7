import { catalogue } from '@millrace/contracts';
import { type Bus, handler, type Subscription, subscribe } from '@millrace/events';
import type { Logger } from '@millrace/telemetry';
import type { Store } from './store/store.ts';
import { handleEvent, type TriggersDeps } from './triggers.ts';

/** Which event types some trigger waits for, and their subscriptions: one durable consumer for each type. */
export interface TriggerSubscriptions {
  /** Subscribes to types that are new and lets go of those no trigger waits for. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Only types that a trigger waits for are listened to, so that telemetry nobody asked for costs nothing. A new
 * consumer reads from the beginning and triggers ignore what was before them: nothing falls between the moment a trigger was
 * applied and the moment its consumer exists.
 */
export function createTriggerSubscriptions(
  bus: Bus,
  deps: TriggersDeps & { readonly log: Logger },
): TriggerSubscriptions {
  const { store, log } = deps;
  const active = new Map<string, Subscription>();
  let working = Promise.resolve();

  async function refresh(): Promise<void> {
    const wanted = await wantedTypes(store);
    for (const [type, subscription] of active)
      if (!wanted.has(type)) {
        active.delete(type);
        await subscription.stop();
      }
    for (const type of wanted) {
      const definition = catalogue.get(type);
      if (!definition || active.has(type)) continue;
      const on = [handler(definition, (event) => handleEvent(deps, event))];
      const durable = `pipelines-trigger-${type.replaceAll('.', '_')}`;
      active.set(type, await subscribe(bus, { durable, on, log }));
    }
  }
  return {
    refresh() {
      working = working.then(refresh, refresh);
      return working;
    },
    async stop() {
      await working.catch(() => {});
      for (const subscription of active.values()) await subscription.stop();
      active.clear();
    },
  };
}

async function wantedTypes(store: Store): Promise<ReadonlySet<string>> {
  const types = new Set<string>();
  let after: string | undefined;
  do {
    const page = await store.triggers.find({
      where: { paused: false },
      orderBy: [{ field: 'eventType' }],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    });
    for (const { doc } of page.items) types.add(doc.eventType);
    after = page.next;
  } while (after !== undefined);
  return types;
}
