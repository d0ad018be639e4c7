import { createHash } from 'node:crypto';
import { CodedError } from '@millrace/errors';
import { newId } from './id.ts';
import { type DocumentStore, defineCollection, type Versioned } from './port.ts';

/** What is known of a call that carried a request id. */
interface Entry {
  readonly method: string;
  readonly project: string;
  readonly bodyDigest: string;
  readonly reservedId: string;
  readonly startedAtMs: number;
  readonly answer: Uint8Array | null;
}

/** The ledger's collection; every store has it. */
export const ledgerSpec = defineCollection({
  name: 'request-ledger',
  fields: { startedAtMs: (entry: Entry) => entry.startedAtMs },
  indexes: [['startedAtMs']],
});

/** A mutating call as the ledger knows it. */
export interface LedgerCall {
  readonly method: string;
  readonly project: string;
  /** Empty: the call is not remembered. */
  readonly requestId: string;
  /** The request in binary form, the same bytes for the same request. */
  readonly body: Uint8Array;
}

/** Makes mutating calls idempotent by their request id. */
export interface RequestLedger {
  /**
   * Runs a call once: the same id and body get the stored answer, the same id with another body REQUEST_ID_REUSED.
   * `reservedId` is fresh for a new call and the same whenever the call is tried again, also after a crash; it is to
   * be the id of what the call creates. A call that throws is not remembered as answered and runs again.
   */
  once(call: LedgerCall, run: (reservedId: string) => Promise<Uint8Array>): Promise<Uint8Array>;
  /** Whether the event of this id is recorded: tells a call that is tried again whether its change was made. */
  recorded(eventId: string): Promise<boolean>;
  /** Forgets calls that began before a time; returns how many. Also done on the way, a few at a time. */
  sweep(beforeMs: number): Promise<number>;
}

/** For how long answers are kept. */
const retentionMs = 7 * 24 * 3_600_000;
const sweepEvery = 500;

export function createRequestLedger(store: DocumentStore, now: () => number = Date.now): RequestLedger {
  const entries = store.collection(ledgerSpec);
  // Calls of this process that are under way, so that a retry that overtakes its first try waits for it.
  const running = new Map<string, { readonly bodyDigest: string; readonly answer: Promise<Uint8Array> }>();
  let calls = 0;

  async function sweep(beforeMs: number): Promise<number> {
    const { items } = await entries.find({ where: { startedAtMs: { lt: beforeMs } }, limit: 1000 });
    await Promise.all(items.map((item) => entries.remove(item.id)));
    return items.length;
  }

  async function runOnce(
    key: string,
    bodyDigest: string,
    call: LedgerCall,
    run: (reservedId: string) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const entry = await reserve(key, bodyDigest, call);
    if (entry.doc.bodyDigest !== bodyDigest) throw reused(call);
    if (entry.doc.answer) return entry.doc.answer;
    const answer = await run(entry.doc.reservedId);
    // Another process may have run the same call meanwhile: the first answer stands.
    const kept = await entries.upsert(key, (doc) =>
      doc?.answer ? undefined : { doc: { ...(doc ?? entry.doc), answer } },
    );
    return kept?.doc.answer ?? answer;
  }

  async function reserve(key: string, bodyDigest: string, call: LedgerCall): Promise<Versioned<Entry>> {
    const { method, project } = call;
    const fresh = { method, project, bodyDigest, reservedId: newId(), startedAtMs: now(), answer: null };
    const entry = await entries.upsert(key, (doc) => (doc ? undefined : { doc: fresh }));
    return entry!;
  }

  return {
    sweep,
    recorded: (eventId) => store.events.has(eventId),
    async once(call, run) {
      if (call.requestId === '') return run(newId());
      calls += 1;
      // Best effort: what is not swept now is swept later.
      if (calls % sweepEvery === 0) sweep(now() - retentionMs).catch(() => {});
      const key = sha256(JSON.stringify([call.method, call.project, call.requestId]));
      const bodyDigest = sha256(call.body);
      const other = running.get(key);
      if (other) {
        if (other.bodyDigest !== bodyDigest) throw reused(call);
        return other.answer;
      }
      const answer = runOnce(key, bodyDigest, call, run);
      running.set(key, { bodyDigest, answer });
      try {
        return await answer;
      } finally {
        running.delete(key);
      }
    },
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function reused(call: LedgerCall): CodedError {
  const message = `request_id ${call.requestId} was used before with another body; use a new one for another request`;
  return new CodedError('already_exists', 'REQUEST_ID_REUSED', message, {
    details: { requestId: call.requestId },
  });
}
