import { decodeMessage } from '@millrace/events';
import type { Kept } from './server.ts';

/** What must hold at every step. It remembers what was seen and says what is wrong with the next thing. */
export function createChecks(now: () => number, duplicateWindowMs: number) {
  const breaches = new Set<string>();
  /** By stream: sequence numbers that were stored at some time. */
  const stored = new Map<string, Set<number>>();
  /** By stream: newly stored events, to be looked up in the record. */
  const fresh: { readonly stream: string; readonly id: string; readonly sequence: number }[] = [];
  /** By stream: the copies it holds, and the newest sequence number of each resource. */
  const excused = new Set<string>();
  const breach = (text: string) => void breaches.add(text);
  const storedOf = (stream: string) => {
    const found = stored.get(stream) ?? new Set();
    stored.set(stream, found);
    return found;
  };

  return {
    breaches,
    breach,
    fresh,
    /** Messages were taken out of a stream while relays publish to it: what is put back comes late. */
    excuseOrder: (stream: string) => void excused.add(stream),
    isExcused: (stream: string) => excused.has(stream),
    onStored(stream: string, message: Kept, held: Iterable<Kept>): void {
      const { id, sequence, resource } = decodeMessage(message.headers, message.data);
      const again = isAgain(message.id);
      storedOf(stream).add(sequence);
      fresh.push({ stream, id, sequence });
      let newest = 0;
      let copies = 0;
      for (const other of held) {
        if (other.seq === message.seq) continue;
        const event = decodeMessage(other.headers, other.data);
        if (event.resource === resource) newest = Math.max(newest, event.sequence);
        if (event.id !== id) continue;
        copies++;
        const isKnown = message.time.getTime() - other.time.getTime() < duplicateWindowMs;
        if (!again && !isAgain(other.id) && isKnown) breach(`${stream} holds event ${sequence} twice`);
      }
      if (copies === 0 && sequence < newest && !again && !excused.has(stream))
        breach(`${stream} got event ${sequence} of ${resource} after event ${newest}`);
    },
    onCursor(name: string, position: number, stream: string): void {
      if (name.includes('/')) return;
      const seen = storedOf(stream);
      for (let sequence = 1; sequence <= position; sequence++)
        if (!seen.has(sequence))
          breach(`${name} is at ${position}, but the stream never had event ${sequence}`);
    },
    /** An operation takes effect; `before` are those that did. */
    onEffect(where: string, operation: string, before: readonly string[]): void {
      if (before.includes(operation)) breach(`${operation} took effect twice in ${where} at ${now()} ms`);
    },
  };
}

/** Whether a message was put back, under another id than its event's. */
const isAgain = (messageId: string) => /:refill:|^redrive:/.test(messageId);

export type Checks = ReturnType<typeof createChecks>;
