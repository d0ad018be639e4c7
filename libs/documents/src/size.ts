import { maxDocumentBytes, tooLarge } from './codec.ts';
import type { EventDraft } from './port.ts';

/** Refuses a document that is too large together with the events of its change, as they are one write. */
export function checkSize(text: string, bytes: Uint8Array | null, emit: readonly EventDraft[] = []): void {
  if (emit.length === 0) return;
  let size = (bytes?.length ?? 0) + emit.reduce((sum, event) => sum + event.data.length, 0);
  if (size + text.length * 3 <= maxDocumentBytes) return;
  size += Buffer.byteLength(text);
  if (size > maxDocumentBytes) throw tooLarge(size);
}
