export { documentCodes } from './codes.ts';
export { newId } from './id.ts';
export { createRequestLedger, type LedgerCall, type RequestLedger } from './ledger.ts';
export { type OpenOptions, openDocuments } from './open.ts';
export {
  type AnyCollectionSpec,
  type Change,
  type ChangeOptions,
  type Collection,
  type CollectionSpec,
  type Comparison,
  type Cursors,
  type Data,
  type DocumentStore,
  defineCollection,
  type EventDraft,
  type EventLog,
  type FieldValue,
  type InsertOptions,
  type Leases,
  type Page,
  type Query,
  type ReadEvents,
  type RecordedEvent,
  type Versioned,
  type WriteOptions,
} from './port.ts';
