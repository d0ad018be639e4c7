import { channel } from 'node:diagnostics_channel';
import { type Context, streamOf } from '@millrace/contracts';
import type { DocumentStore } from '@millrace/documents';
import { from, unavailable } from '@millrace/errors';
import { type Clock, systemClock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Streams } from '../port.ts';
import { ensureStream, type StreamOptions } from '../stream.ts';
import { createCheck, type Gap } from './check.ts';
import { deliver } from './deliver.ts';
import type { Placed } from './marks.ts';
import { publishInOrder } from './order.ts';
import { createProgress } from './progress.ts';
import { createWake } from './wake.ts';

/** Race points: where a fault test ends or freezes the process. */
const beforePublish = channel('millrace:relay.before-publish');
const afterPublish = channel('millrace:relay.after-publish');

export interface RelayOptions {
  readonly store: Pick<DocumentStore, 'events' | 'cursors' | 'leases'>;
  readonly bus: Streams;
  readonly context: Context;
  readonly log: Log;
  /** Settings of the stream, which the relay makes and keeps. */
  readonly stream?: StreamOptions;
  /** Most publishes in flight. @default 64 */
  readonly window?: number;
  /** How often the record is looked at when nothing woke the relay; four times that when idle. @default 250 */
  readonly pollMs?: number;
  /** How often the stream is compared with what it should hold. @default 30000 */
  readonly checkMs?: number;
  /** How long one of several replicas relays before it must renew. @default 5000 */
  readonly leaseMs?: number;
  /** How long one publish waits for its acknowledgement. @default 5000 */
  readonly publishTimeoutMs?: number;
  readonly onGap?: (gap: Gap) => void;
  /** @default the system's */
  readonly clock?: Clock;
  /** In [0, 1). @default Math.random */
  readonly random?: () => number;
}

export interface Relay {
  /** The sequence number up to which the stream has everything. */
  readonly position: number;
  /** Compares the stream with what it should hold, now; tells the gap that was found and refilled. */
  check(): Promise<Gap | undefined>;
  /** Ends after the batch in flight and lets another replica take over. */
  stop(): Promise<void>;
}

/**
 * Publishes the events of a store's record to the stream of its context, in order, and remembers how far it came. It
 * starts at once and goes on through outages of NATS. Of several replicas the holder of the lease relays; two at the
 * same time would do no harm, because the stream keeps one copy of each id.
 */
export function startRelay(options: RelayOptions): Relay {
  const { store, bus, context, log, clock = systemClock, random = Math.random } = options;
  const { name } = streamOf(context);
  const cursor = `relay-${context}`;
  const owner = `${bus.name}-${process.pid}-${random().toString(36).slice(2, 10)}`;
  const { compare, remember } = createCheck({ ...options, clock, cursor });
  const wake = createWake(clock);
  const progress = createProgress(async ({ upTo, stored }) => {
    await remember(stored);
    await store.cursors.set(cursor, upTo);
  }, wake.now);
  const leaseMs = options.leaseMs ?? 5_000;
  let position = 0;
  let leasedUntil = 0;
  /** Counts connections and failures: what was known of the stream in one age need not hold in the next. */
  let age = 0;
  let readyIn = -1;
  let checkedIn = -1;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let checking: Promise<Gap | undefined> | undefined;
  const stopping = new AbortController();

  const unsubscribers = [
    store.events.onCommit(() => wake.now()),
    bus.onConnect(() => {
      distrust();
      wake.now();
    }),
  ];

  /** A server that went away, or failed, may have come back with less: look before publishing on. */
  function distrust(): void {
    age++;
  }

  async function holdLease(): Promise<boolean> {
    const now = clock.monotonic();
    if (now < leasedUntil - (leaseMs * 2) / 3) return true;
    const fresh = now >= leasedUntil;
    if (!(await store.leases.acquire(cursor, owner, leaseMs))) {
      leasedUntil = 0;
      return false;
    }
    leasedUntil = now + leaseMs;
    if (!fresh) return true;
    // Whoever relayed before may have moved the position on what the stream has lost since.
    distrust();
    await progress.written();
    position = await store.cursors.get(cursor);
    return true;
  }

  async function relayBatch(current: number): Promise<number> {
    const events = await store.events.read({ after: position, limit: 128 });
    if (events.length === 0) return 0;
    const stored: (Placed & { readonly fresh: boolean })[] = [];
    // What the stream lost goes before anything new.
    const requireSameAge = () => {
      if (age !== current || !bus.connected) throw unavailable(`${name}: NATS is looked at first; it`);
    };
    const { count, error } = await publishInOrder(events, options.window ?? 64, async (event, after) => {
      beforePublish.publish(event);
      const timeoutMs = options.publishTimeoutMs ?? 5_000;
      const { seq, fresh } = await deliver(bus, context, event, requireSameAge, { timeoutMs, after });
      // Taken as published, it would cover up what a server that came back in between has lost.
      requireSameAge();
      stored.push({ at: seq, sequence: event.sequence, fresh });
    });
    const upTo = events[count - 1]?.sequence;
    if (upTo !== undefined) {
      afterPublish.publish(upTo);
      progress.note({ upTo, stored });
      position = upTo;
    }
    if (error) throw error;
    return count;
  }

  /** One comparison at a time; callers share it. */
  function check(): Promise<Gap | undefined> {
    const begunIn = age;
    checking ??= progress
      .written()
      .then(compare)
      .then((gap) => {
        checkedAt = clock.monotonic();
        checkedIn = begunIn;
        return gap;
      })
      .finally(() => {
        checking = undefined;
      });
    return checking;
  }

  async function step(): Promise<void> {
    progress.throwFailure();
    if (!bus.connected) return wake.wait(leaseMs / 3);
    if (!(await holdLease())) return wake.wait(leaseMs / 3);
    const current = age;
    if (readyIn !== current) {
      await ensureStream(bus, context, options.stream);
      readyIn = current;
    }
    const due = clock.monotonic() - checkedAt >= (options.checkMs ?? 30_000);
    if (checkedIn !== current || due) await check();
    // It may have been begun before NATS went away.
    if (checkedIn !== current) return;
    const pollMs = options.pollMs ?? 250;
    if ((await relayBatch(current)) > 0) idle = 0;
    else await wake.wait(idle++ < 20 ? pollMs : pollMs * 4);
  }

  let idle = 0;
  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        await step();
        failures = 0;
      } catch (caught) {
        if (stopping.signal.aborted) break;
        failures++;
        distrust();
        // What could not be remembered is published again, and known to the stream.
        leasedUntil = 0;
        const { code, message, kind } = from(caught);
        const fields = { stream: name, position, code, failures, err: caught };
        log[kind === 'unavailable' ? 'warn' : 'error'](fields, `the relay waits: ${message}`);
        const waitMs = Math.min(100 * 2 ** failures, 5_000) * (0.5 + random() / 2);
        await clock.sleep(waitMs, stopping.signal);
      }
    }
  }

  const running = run();
  return {
    get position() {
      return position;
    },
    check,
    stop: async () => {
      stopping.abort();
      for (const unsubscribe of unsubscribers) unsubscribe();
      wake.now();
      await running;
      await progress.written().catch(() => {});
      await store.leases.release(cursor, owner).catch(() => {});
    },
  };
}
