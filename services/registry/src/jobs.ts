import type { Job } from '@millrace/service';
import { settle } from './flows/promotion.ts';
import { validate } from './flows/registration.ts';
import type { Registry } from './registry.ts';

/** How old something half done must be before it is taken for left behind, in milliseconds. */
const leftBehindMs = 30_000;

/** Ends what a stopped process began: checks of versions, and promotions that were decided and not carried out. */
export function jobs(registry: Registry, everyMs: number): readonly Job[] {
  return [
    {
      name: 'finish-what-was-left',
      everyMs,
      run: async (signal) => {
        await finishValidations(registry, signal);
        await finishPromotions(registry, signal);
      },
    },
  ];
}

async function finishValidations(registry: Registry, signal: AbortSignal): Promise<void> {
  const { items } = await registry.store.versions.find({ where: { state: 'PENDING' }, limit: 100 });
  for (const item of items) {
    if (signal.aborted) return;
    if (item.createdAtMs > registry.now() - leftBehindMs) continue;
    // One whose bytes cannot be read does not keep the others from being checked.
    await validate(registry, item).catch((err: unknown) =>
      registry.log.warn({ err, version: item.id }, 'a version could not be checked; it is tried again'),
    );
  }
}

async function finishPromotions(registry: Registry, signal: AbortSignal): Promise<void> {
  const { items } = await registry.store.decisions.find({ where: { outcome: 'PENDING' }, limit: 100 });
  for (const item of items) {
    if (signal.aborted) return;
    if (item.createdAtMs <= registry.now() - leftBehindMs) await settle(registry, item);
  }
}
