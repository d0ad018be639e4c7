import { invalidField } from '@millrace/errors';
import {
  type AnyEvent,
  type Bus,
  connectBus,
  type Handler,
  handler,
  type Subscription,
  subscribe,
  tail,
} from '@millrace/events';
import type { Millrace } from './client.ts';

/** The events of a suite. */
export interface Events {
  /** Handles events durably: at least once each, from where `durable` was when it last ran. */
  subscribe(options: { readonly durable: string; readonly on: readonly Handler[] }): Promise<Subscription>;
  /** Follows events without remembering a place. */
  tail(options?: Parameters<typeof tail>[1]): AsyncIterable<AnyEvent>;
  close(): Promise<void>;
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Connects to a suite's events. INVALID_FIELD when its NATS is not known. */
export async function connectEvents(millrace: Millrace, name: string): Promise<Events> {
  const url = millrace.endpoints.natsUrl;
  if (!url) throw invalidField('MILLRACE_NATS_URL', 'is not set', 'nats://host:port');
  const bus: Bus = await connectBus({ url, name });
  return {
    subscribe: (options) => subscribe(bus, { ...options, project: millrace.project, log: quiet }),
    tail: (options = {}) => tail(bus, options),
    close: () => bus.close(),
  };
}

export { type AnyEvent, handler };
