import type { EventType } from './event-type.ts';

/** Every event there is, by type. Each context declares its own in `<context>-events.ts`. */
export const catalogue: ReadonlyMap<string, EventType> = new Map<string, EventType>();
