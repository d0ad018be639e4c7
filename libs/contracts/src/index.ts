export { catalogue } from './catalogue.ts';
export { type Context, contexts, defineEvent, type EventType, streamOf, subjectOf } from './event-type.ts';
export { isProject, matchName, names, type ResourceName, resourceName, type Segments } from './names.ts';
