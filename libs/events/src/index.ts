export { type Clock, systemClock } from './clock.ts';
export { decodeData, decodeMessage, type Envelope, encodeHeaders, sourceOf } from './cloud-events.ts';
export { eventCodes } from './codes.ts';
export { type DeadLetter, type DeadLetterQuery, listDeadLetters, redrive } from './consumer/dead-letters.ts';
export { type Handler, handler, handlers } from './consumer/handler.ts';
export { type SubscribeOptions, type Subscription, subscribe } from './consumer/subscribe.ts';
export { type DraftInput, draft, maxEventBytes } from './draft.ts';
export type { AnyEvent, Event, EventAttributes } from './event.ts';
export { dataToJson, type EventJson, eventToJson } from './json.ts';
export { type Log, noLog } from './log.ts';
export { type Bus, type BusOptions, connectBus } from './nats/bus.ts';
export type { Credentials } from './nats/credentials.ts';
export { decodeHeaderValue, encodeHeaderValue } from './percent.ts';
export type {
  ConsumerSettings,
  Deliveries,
  Delivery,
  Message,
  MessageHeaders,
  OutgoingMessage,
  ReadOptions,
  Sent,
  StoredMessage,
  StreamSettings,
  StreamState,
  Streams,
} from './port.ts';
export { type PublishInput, publish } from './publish.ts';
export type { Gap } from './relay/check.ts';
export { type Refilled, type RefillOptions, refillStream } from './relay/refill.ts';
export { type Relay, type RelayOptions, startRelay } from './relay/relay.ts';
export { type FindOptions, type FoundServer, findNatsServer } from './server/find.ts';
export { findOlderServer } from './server/older.ts';
export { type NatsServer, type StartOptions, startNatsServer } from './server/start.ts';
export { checkVersion, judgeVersion, minimumVersion, type VersionVerdict } from './server/version.ts';
export { deadLetterStream, ensureDeadLetters, ensureStream, type StreamOptions } from './stream.ts';
export { type TailOptions, tail } from './tail.ts';
