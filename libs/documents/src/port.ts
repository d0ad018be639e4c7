/**
 * The document store port. The unit of atomicity is one document with its version, the events of its change and the
 * id of the event it answers; nothing spans documents.
 */

/**
 * Plain data that can be stored: JSON values, and besides them NaN and infinities, bigints and bytes. `undefined`
 * members are dropped. Names that users choose belong in lists of pairs, not in object keys.
 */
export type Data =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Data[]
  | { readonly [key: string]: Data | undefined };

/** A document as it is stored. */
export interface Versioned<T> {
  readonly id: string;
  readonly doc: T;
  /** 1 at insertion, one more at every change: the compare-and-set token. */
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** An event to be recorded in the same atomic step as the change it tells of. */
export interface EventDraft {
  /** UUIDv7; the CloudEvents id and the de-duplication id: one that is recorded already is not recorded again. */
  readonly id: string;
  /** `millrace.<context>.<entity>.<event>.v<n>`. */
  readonly type: string;
  readonly project: string;
  /** The full name of the resource it is about. */
  readonly resource: string;
  readonly timeMs: number;
  /** The event's message in binary form. */
  readonly data: Uint8Array;
  readonly traceparent?: string;
}

/** An event as it is recorded. */
export interface RecordedEvent extends EventDraft {
  /** Its place in this store's log: strictly increasing, in commit order. */
  readonly sequence: number;
}

/** A document remembers at least its newest 256 causes and request ids, until it is removed. */
export interface WriteOptions {
  /** The id of the event this write answers. If the document already answered it, nothing changes. */
  readonly cause?: string;
  /** The caller's request id. If the document already took it, nothing changes and the document is returned. */
  readonly requestId?: string;
}

export interface InsertOptions extends WriteOptions {
  readonly emit?: readonly EventDraft[];
}

export interface ChangeOptions extends WriteOptions {
  /** The version the document must have; else `VERSION_CONFLICT`. */
  readonly expect?: number;
}

/** What a change function decides: the new document and its events, or nothing to change. */
export type Change<T> = { readonly doc: T; readonly emit?: readonly EventDraft[] } | undefined;

/**
 * A comparison with a declared field. null < false < true < numbers < strings (by code point); a range holds values of
 * its bounds' type only. NaN counts as null.
 */
export type Comparison<V> =
  | V
  | { readonly in: readonly V[] }
  | { readonly gt?: V; readonly gte?: V; readonly lt?: V; readonly lte?: V };

export type FieldValue = string | number | boolean | null;

export interface Query<F extends string> {
  readonly where?: { readonly [K in F]?: Comparison<FieldValue> };
  /**
   * Declared fields, or `id`, which is always the last tie-break; all in one direction. Fields of the serving index
   * that stand between are ordered by as well.
   * @default the order of the smallest index that serves `where`: by id when its fields are all given equality
   */
  readonly orderBy?: readonly { readonly field: F | 'id'; readonly direction?: 'asc' | 'desc' }[];
  /** 1 to 10,000. @default 100 */
  readonly limit?: number;
  /** `next` of the page before. Opaque; a foreign or damaged token is refused with INVALID_FIELD `page_token`. */
  readonly after?: string;
}

export interface Page<T> {
  readonly items: readonly Versioned<T>[];
  /** Present when there is more. */
  readonly next?: string;
}

export interface Collection<T, F extends string = string> {
  get(id: string): Promise<Versioned<T> | undefined>;
  /** Several at once, in the order asked; undefined where there is none. */
  getMany(ids: readonly string[]): Promise<(Versioned<T> | undefined)[]>;
  /** Refuses an existing id with ALREADY_EXISTS, unless cause or requestId show that it is the same write again. */
  insert(id: string, doc: T, options?: InsertOptions): Promise<Versioned<T>>;
  /**
   * Compare-and-set, retried on conflict: `decide` is pure and may run several times. NOT_FOUND if there is no such
   * document. Returns the document after the change (or as it is, when nothing was to change).
   */
  change(
    id: string,
    decide: (doc: T, version: number) => Change<T>,
    options?: ChangeOptions,
  ): Promise<Versioned<T>>;
  /** Inserts or changes: `decide` gets undefined when there is no document yet. */
  upsert(
    id: string,
    decide: (doc: T | undefined) => Change<T>,
    options?: WriteOptions,
  ): Promise<Versioned<T> | undefined>;
  /** Removes; `emit` tells of it. Removing what is not there does nothing. */
  remove(id: string, options?: ChangeOptions & { readonly emit?: readonly EventDraft[] }): Promise<void>;
  /** Pages of documents. The query must be served by a declared index, else QUERY_NOT_INDEXED. */
  find(query: Query<F>): Promise<Page<T>>;
  /** How many documents match; served by an index. */
  count(where: Query<F>['where']): Promise<number>;
}

/** Declares a collection: its name, the fields that queries may use, and the indexes that serve them. */
export interface CollectionSpec<T, F extends string = string> {
  readonly name: string;
  readonly fields: { readonly [K in F]: (doc: T) => FieldValue };
  /** Each a list of fields: equality fields first, then one range or the ordering. `id` is implied at the end. */
  readonly indexes: readonly (readonly F[])[];
}

/** A collection of any type, as a store takes it at opening. */
export interface AnyCollectionSpec {
  readonly name: string;
  readonly fields: { readonly [field: string]: (doc: never) => FieldValue };
  readonly indexes: readonly (readonly string[])[];
}

export function defineCollection<T, const F extends string>(
  spec: CollectionSpec<T, F>,
): CollectionSpec<T, F> {
  return spec;
}

export interface ReadEvents {
  readonly after: number;
  /** Most events; fewer come when they are together larger than 4,000,000 bytes. */
  readonly limit: number;
  readonly project?: string;
  readonly types?: readonly string[];
}

/** The record of what happened in this store, in commit order. */
export interface EventLog {
  /**
   * Events after a sequence number. Never skips one that commits later with a smaller number. A page of large events is
   * shorter than its limit, but has at least one: only an empty page says that there is nothing more.
   */
  read(query: ReadEvents): Promise<readonly RecordedEvent[]>;
  /** Whether an event of this id is recorded and was not trimmed since. */
  has(id: string): Promise<boolean>;
  /** The newest sequence number; 0 when nothing happened yet. */
  last(): Promise<number>;
  /** The oldest sequence number still kept; last() + 1 when none is. */
  first(): Promise<number>;
  /** Calls `wake` soon after events were committed by this process; other processes' events are found by polling. */
  onCommit(wake: () => void): () => void;
  /** Forgets events up to a sequence number. */
  trim(upTo: number): Promise<void>;
}

/** Durable named positions, for relays and consumers. */
export interface Cursors {
  get(name: string): Promise<number>;
  /** Never moves backwards unless `force`. */
  set(name: string, position: number, options?: { readonly force?: boolean }): Promise<void>;
}

/** Leases with fencing: whoever holds one has a token greater than every holder before. Store time decides. */
export interface Leases {
  /** Takes or extends; undefined when another holds it. */
  acquire(name: string, owner: string, durationMs: number): Promise<{ readonly token: number } | undefined>;
  release(name: string, owner: string): Promise<void>;
}

export interface DocumentStore {
  collection<T, F extends string>(spec: CollectionSpec<T, F>): Collection<T, F>;
  readonly events: EventLog;
  readonly cursors: Cursors;
  readonly leases: Leases;
  /**
   * A number that is another one as soon as somebody else than this store object has written: until then, what was read
   * is still so, but for own writes. Undefined where nothing tells (a server that others write to).
   */
  foreignWrites(): Promise<number | undefined>;
  /** Answers when the store can read and write; throws a coded error when it cannot. */
  check(): Promise<void>;
  /**
   * Reads the whole store and tells what contradicts itself, or that it cannot be read; nothing when it is sound, or a
   * server checks its own pages.
   */
  verify(): Promise<readonly string[]>;
  close(): Promise<void>;
}
