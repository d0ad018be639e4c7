/**
 * The port through which events travel: streams that keep messages in order, and durable consumers of them. The NATS
 * adapter is `nats/`. The record of events is the document store; a stream may lose everything.
 */

/** Headers of a message. A Map serves, and so do the headers of the NATS client. */
export interface MessageHeaders {
  keys(): Iterable<string>;
  has(name: string): boolean;
  get(name: string): string | undefined;
}

export interface Message {
  readonly subject: string;
  /** None, too, where what stands in their place cannot be read. */
  readonly headers?: MessageHeaders | undefined;
  readonly data: Uint8Array;
}

/** A message to be stored. */
export interface OutgoingMessage extends Message {
  /** A stream that has stored this id lately does not store it again. */
  readonly id: string;
  /** Stored only where the newest message of the stream has this id; else OUT_OF_ORDER. @default wherever it is */
  readonly after?: string;
  /** How long to wait for the acknowledgement. @default 5000 */
  readonly timeoutMs?: number;
}

/** The word of a stream that it has a message. */
export interface Sent {
  /** Where the message is in the stream. */
  readonly seq: number;
  /** The stream had its id already, and did not store it again. */
  readonly duplicate: boolean;
}

/** A message as a stream keeps it. */
export interface StoredMessage extends Message {
  /** Its place in the stream: 1 for the first, always growing. */
  readonly seq: number;
  /** When it was stored. */
  readonly time: Date;
}

/** A message as a consumer gets it, with the answers that end its delivery. */
export interface Delivery extends StoredMessage {
  readonly stream: string;
  /** 1 at the first time. */
  readonly deliveryCount: number;
  /** Over which connection it came: see {@link Streams.connections}. */
  readonly connection: number;
  /**
   * Says that it was handled; resolves when that is recorded, throws `unavailable` when that is not known, or there is no
   * connection. An answer names a place only: after a loss another message may be there.
   */
  ack(timeoutMs: number): Promise<void>;
  /** Gives it back, to be delivered again after `delayMs`. @default 0 */
  nak(delayMs?: number): void;
  /** Asks not to be given it again. */
  term(reason: string): void;
  /** Says that work on it goes on; otherwise it is delivered again after the consumer's `ackWaitMs`. */
  working(): void;
}

/** What a consumer is given, one after the other; throws when the stream, the consumer or the connection is lost. */
export interface Deliveries extends AsyncIterable<Delivery> {
  close(): Promise<void>;
}

/** A stream as it should be. */
export interface StreamSettings {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly description: string;
  readonly maxAgeMs: number;
  /** The oldest messages go first. */
  readonly maxBytes: number;
  /** The most that one message may have, headers included; larger ones are not stored. */
  readonly maxMessageBytes: number;
  /** Copies in a cluster. */
  readonly replicas: number;
  /** For how long the stream knows the ids of messages. */
  readonly duplicateWindowMs: number;
}

/** A stream as it is. */
export interface StreamState {
  readonly createdMs: number;
  readonly messages: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** The place of the oldest message; greater than `last` when there is none. */
  readonly first: number;
  /** The newest place that was given to a message. */
  readonly last: number;
  /** When the oldest message was stored; 0 when there is none. */
  readonly firstMs: number;
}

/** A durable consumer as it should be. */
export interface ConsumerSettings {
  readonly durable: string;
  readonly subjects: readonly string[];
  readonly maxInFlight: number;
  readonly ackWaitMs: number;
  /** Where a consumer that is new begins. */
  readonly from: 'all' | 'new';
}

export interface ReadOptions {
  readonly subjects?: readonly string[];
  /** The first position in the stream. @default the oldest */
  readonly from?: number;
  /** Leaves the data out. @default false */
  readonly headersOnly?: boolean;
}

/** Streams over a connection that comes back by itself. Every call throws `unavailable` while there is none. */
export interface Streams {
  /** Who is connected. */
  readonly name: string;
  /** Whether there is a connection now. */
  readonly connected: boolean;
  /** How often a connection was made. */
  readonly connections: number;
  /** Calls `listener` whenever a connection was made or made again. */
  onConnect(listener: () => void): () => void;
  /**
   * Stores a message and waits for the stream's word. A failure means that it is not known whether the stream has it:
   * send it again with the same id. After OUT_OF_ORDER it is known: it has not. What is sent first gets there first, or not
   * at all.
   */
  send(message: OutgoingMessage): Promise<Sent>;
  /** Makes a stream, or brings it to these settings. Throws STREAM_CONFIG_DIFFERS when they were not taken over. */
  applyStream(settings: StreamSettings): Promise<void>;
  /** Undefined when there is no such stream. */
  readState(stream: string): Promise<StreamState | undefined>;
  /** The message at a place; undefined when there is none. */
  readMessage(stream: string, seq: number): Promise<StoredMessage | undefined>;
  /** Removes the message at a place. */
  removeMessage(stream: string, seq: number): Promise<void>;
  /** Reads what a stream holds now, in order, and ends. A stream that does not exist holds nothing. */
  read(stream: string, options?: ReadOptions): AsyncIterable<StoredMessage>;
  /**
   * Makes a durable consumer, or brings it to these settings. False when the stream does not exist yet. Deliveries are
   * repeated without limit until they are answered.
   */
  applyConsumer(stream: string, settings: ConsumerSettings): Promise<boolean>;
  /** Takes a share of a consumer's messages, at most `maxInFlight` of them unanswered at a time. */
  consume(stream: string, durable: string, maxInFlight: number): Promise<Deliveries>;
}
