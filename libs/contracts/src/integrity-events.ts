import { DamageFoundSchema, DamageRepairedSchema, StreamRefilledSchema } from './common.ts';
import { type Context, defineEvent } from './event-type.ts';

/** What every service tells of the state of its storage, in its own context. */
export const integrityEvents = (context: Context) =>
  ({
    damageFound: defineEvent(context, 'storage.damage_found', DamageFoundSchema),
    damageRepaired: defineEvent(context, 'storage.damage_repaired', DamageRepairedSchema),
    streamRefilled: defineEvent(context, 'stream.refilled', StreamRefilledSchema),
  }) as const;
