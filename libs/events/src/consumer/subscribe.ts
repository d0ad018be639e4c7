import { type Context, streamOf, subjectOf } from '@millrace/contracts';
import { from, invalidField } from '@millrace/errors';
import { type Clock, systemClock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Deliveries, Delivery, Streams } from '../port.ts';
import { ensureDeadLetters } from '../stream.ts';
import type { Handler } from './handler.ts';
import { defaultRetryMs, processMessage } from './process.ts';

export interface SubscribeOptions {
  /** The consumer's name: `[A-Za-z0-9_-]+`. Replicas that give the same name share the work. */
  readonly durable: string;
  readonly on: readonly Handler[];
  readonly log: Log;
  /** Only events of this project. A consumer for one project needs a name of its own. @default all */
  readonly project?: string;
  /** Most events being handled at a time, over all replicas. @default 16 */
  readonly maxInFlight?: number;
  /**
   * One event at a time over all replicas, each only after the one before was handled. Otherwise events about
   * different resources are handled side by side, and those about one resource in order within a process.
   * @default false
   */
  readonly ordered?: boolean;
  /** Where a consumer begins that did not exist: at the oldest event kept, or with what happens next. @default 'all' */
  readonly from?: 'all' | 'new';
  /** Waits before further tries. @default 1 s to 5 min, eight tries in all */
  readonly retryMs?: readonly number[];
  /** After how long without a sign of life an event goes to another replica. @default 10000 */
  readonly ackWaitMs?: number;
  /** @default the system's */
  readonly clock?: Clock;
  /** In [0, 1): spreads waits. @default Math.random */
  readonly random?: () => number;
}

export interface Subscription {
  readonly durable: string;
  /** Resolves when every stream involved exists and its events flow. */
  readonly ready: Promise<void>;
  /** Takes nothing new, lets running handlers end (at most `drainMs`), and gives the rest back to the stream. */
  stop(drainMs?: number): Promise<void>;
}

/**
 * Handles events durably: each is handled at least once and acknowledged afterwards. Streams that do not exist yet
 * are waited for, so no service needs another to be up. What is not an event of the catalogue becomes a dead letter
 * at once; what cannot be handled, after its last try. Throws INVALID_FIELD for a bad name or no handlers.
 */
export async function subscribe(bus: Streams, options: SubscribeOptions): Promise<Subscription> {
  const { durable, on } = options;
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(durable))
    throw invalidField(
      'durable',
      `${JSON.stringify(durable)} is not a consumer's name`,
      '[A-Za-z0-9_-]{1,128}',
    );
  const handlers = new Map(on.map((entry) => [entry.type.type, entry]));
  if (on.length === 0 || handlers.size !== on.length)
    throw invalidField(
      'on',
      on.length === 0 ? 'no handlers' : 'two handlers of one type',
      'one handler per type',
    );
  const { clock = systemClock, random = Math.random } = options;
  const stopping = new AbortController();
  const contexts = [...new Set(on.map((entry) => entry.type.context))];
  const runs = contexts.map((context) =>
    consumeContext(bus, context, { ...options, clock, random }, handlers, stopping.signal),
  );
  return {
    durable,
    ready: Promise.all(runs.map((run) => run.ready)).then(() => {}),
    stop: async (drainMs = 10_000) => {
      stopping.abort();
      const ended = new AbortController();
      const late = clock.sleep(drainMs, ended.signal);
      await Promise.race([Promise.all(runs.map((run) => run.ended)), late]);
      ended.abort();
    },
  };
}

function consumeContext(
  bus: Streams,
  context: Context,
  options: SubscribeOptions & Required<Pick<SubscribeOptions, 'clock' | 'random'>>,
  handlers: ReadonlyMap<string, Handler>,
  stopping: AbortSignal,
) {
  const { durable, clock, random, log } = options;
  const stream = streamOf(context).name;
  const types = options.on.filter((entry) => entry.type.context === context).map((entry) => entry.type);
  const settings = {
    durable,
    subjects: types.map((type) => subjectOf(type, options.project ?? '*')),
    maxInFlight: options.ordered ? 1 : (options.maxInFlight ?? 16),
    ackWaitMs: options.ackWaitMs ?? 10_000,
    from: options.from ?? 'all',
  };
  const { promise: ready, resolve: markReady } = Promise.withResolvers<void>();
  const inFlight = new Set<Delivery>();
  const tails = new Map<string, Promise<void>>();
  const processing = {
    bus,
    clock,
    random,
    durable,
    handlers,
    retryMs: options.retryMs ?? defaultRetryMs,
    log,
    stopping,
  };

  /** Starts handling a message after the one before it about the same resource. */
  function take(message: Delivery): void {
    const key = settings.maxInFlight === 1 ? '' : (message.headers?.get('ce-subject') ?? '');
    inFlight.add(message);
    const before = tails.get(key) ?? Promise.resolve();
    const handled = before.then(async () => {
      await processMessage(message, processing);
      inFlight.delete(message);
      if (tails.get(key) === handled) tails.delete(key);
    });
    tails.set(key, handled);
  }

  /** Settles when NATS can be reached, or is no longer needed. */
  function untilConnected(): Promise<void> {
    if (bus.connected || stopping.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        off();
        stopping.removeEventListener('abort', done);
        resolve();
      };
      const off = bus.onConnect(done);
      stopping.addEventListener('abort', done);
    });
  }

  async function consume(): Promise<void> {
    await untilConnected();
    if (stopping.aborted) return;
    await ensureDeadLetters(bus);
    for (let waitMs = 100; !(await bus.applyConsumer(stream, settings)); ) {
      if (stopping.aborted) return;
      await clock.sleep(waitMs, stopping);
      waitMs = Math.min(waitMs * 2, 1_000);
    }
    const messages = await bus.consume(stream, durable, settings.maxInFlight);
    failures = 0;
    markReady();
    const stop = () => void messages.close();
    stopping.addEventListener('abort', stop);
    try {
      if (stopping.aborted) stop();
      await pump(messages);
    } finally {
      stopping.removeEventListener('abort', stop);
      await messages.close();
    }
  }

  async function pump(messages: Deliveries): Promise<void> {
    for await (const message of messages) {
      if (stopping.aborted) message.nak();
      else take(message);
    }
  }

  /** Tells the server that the work goes on, so that it does not give the same messages to another replica. */
  async function keepAlive(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await clock.sleep(settings.ackWaitMs / 3, ended);
      if (bus.connected) for (const message of inFlight) message.working();
    }
  }

  let failures = 0;
  async function run(): Promise<void> {
    const ended = new AbortController();
    void keepAlive(ended.signal);
    while (!stopping.aborted) {
      try {
        await consume();
      } catch (caught) {
        failures++;
        const { code, message } = from(caught);
        log.warn({ durable, stream, code, err: caught }, `the subscription waits: ${message}`);
      }
      // Everybody who listens lost the same server: they must not all come back in the same moment.
      const waitMs = Math.min(100 * 2 ** failures, 5_000) * (0.5 + random() / 2);
      if (!stopping.aborted) await clock.sleep(waitMs, stopping);
    }
    await Promise.all(tails.values());
    ended.abort();
  }

  return { ready, ended: run() };
}
