import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import type { EventType } from '@millrace/contracts';

/** What every event carries besides its data. */
export interface EventAttributes {
  /** UUIDv7; the same in every copy and at every delivery. */
  readonly id: string;
  /** `millrace.<context>.<entity>.<event>.v<n>` */
  readonly type: string;
  readonly project: string;
  /** The full name of the resource it is about. */
  readonly resource: string;
  readonly timeMs: number;
  /** Its place in the owner's record; 0 for facts that came from outside and stand in no record. */
  readonly sequence: number;
  /** The W3C trace context in which it happened. */
  readonly traceparent?: string;
}

/** An event as a handler gets it. */
export interface Event<S extends DescMessage = DescMessage> extends EventAttributes {
  readonly data: MessageShape<S>;
  /** Its entry in the catalogue. */
  readonly definition: EventType<S>;
  /** 1 at the first try of handling it, 2 at the second … */
  readonly attempt: number;
}

/** An event of any type of the catalogue. */
export interface AnyEvent extends EventAttributes {
  readonly data: Message;
  readonly definition: EventType;
  readonly attempt: number;
}
