import { catalogue, streamOf } from '@millrace/contracts';
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

/** How far the clocks of services and of NATS may be apart. */
const clocksApartMs = 5 * 60_000;

/**
 * Only types that a trigger waits for are listened to, so that telemetry nobody asked for costs nothing. A new
 * consumer begins a little before the oldest of its triggers does, and triggers ignore what was before them: nothing falls
 * between the moment a trigger was applied or woken and the moment its consumer exists, and the rest of a stream is not held.
 */
export function createTriggerSubscriptions(
  bus: Bus,
  deps: TriggersDeps & { readonly log: Logger },
): TriggerSubscriptions {
  const { store, log } = deps;
  const active = new Map<string, Subscription>();
  /** Types whose consumer is known to be gone. */
  const gone = new Set<string>();
  let working = Promise.resolve();

  async function refresh(): Promise<void> {
    const wanted = await wantedTypes(store);
    for (const [type, sinceMs] of wanted) {
      const definition = catalogue.get(type);
      if (!definition || active.has(type)) continue;
      const on = [handler(definition, (event) => handleEvent(deps, event))];
      gone.delete(type);
      const from = new Date(sinceMs - clocksApartMs);
      active.set(type, await subscribe(bus, { durable: durableOf(type), on, from, log }));
    }
    for (const type of catalogue.keys()) if (!wanted.has(type) && !gone.has(type)) await letGo(type);
  }

  /** A consumer that was left behind, also by an earlier process, would hold its stream for ever once that is full. */
  async function letGo(type: string): Promise<void> {
    await active.get(type)?.stop();
    active.delete(type);
    if (!bus.connected) return;
    await bus.removeConsumer(streamOf(catalogue.get(type)!.context).name, durableOf(type));
    gone.add(type);
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

const durableOf = (type: string) => `pipelines-trigger-${type.replaceAll('.', '_')}`;

/** The types that triggers wait for, and since when the first of them does. */
async function wantedTypes(store: Store): Promise<ReadonlyMap<string, number>> {
  const types = new Map<string, number>();
  let after: string | undefined;
  do {
    const page = await store.triggers.find({
      where: { paused: false },
      orderBy: [{ field: 'eventType' }],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    });
    for (const { doc } of page.items) {
      const { eventType, activeSinceMs } = doc;
      types.set(eventType, Math.min(types.get(eventType) ?? activeSinceMs, activeSinceMs));
    }
    after = page.next;
  } while (after !== undefined);
  return types;
}
