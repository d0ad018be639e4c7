import { contexts, type EventType } from './event-type.ts';
import { featuresEvents } from './features-events.ts';
import { integrityEvents } from './integrity-events.ts';
import { monitoringEvents } from './monitoring-events.ts';
import { pipelinesEvents } from './pipelines-events.ts';
import { registryEvents } from './registry-events.ts';
import { servingEvents } from './serving-events.ts';
import { trackingEvents } from './tracking-events.ts';

/** Every event there is, by type. Each context declares its own in `<context>-events.ts`; some all of them have. */
export const catalogue: ReadonlyMap<string, EventType> = new Map(
  [
    trackingEvents,
    registryEvents,
    featuresEvents,
    pipelinesEvents,
    servingEvents,
    monitoringEvents,
    ...contexts.map(integrityEvents),
  ]
    .flatMap((events): readonly EventType[] => Object.values(events))
    .map((event) => [event.type, event]),
);
