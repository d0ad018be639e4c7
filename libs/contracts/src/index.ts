export { catalogue } from './catalogue.ts';
export { type Context, contexts, defineEvent, type EventType, streamOf, subjectOf } from './event-type.ts';
export { featuresEvents } from './features-events.ts';
export { monitoringEvents } from './monitoring-events.ts';
export { isProject, matchName, names, type ResourceName, resourceName, type Segments } from './names.ts';
export { pipelinesEvents } from './pipelines-events.ts';
export { registryEvents } from './registry-events.ts';
export { servingEvents } from './serving-events.ts';
export { trackingEvents } from './tracking-events.ts';
