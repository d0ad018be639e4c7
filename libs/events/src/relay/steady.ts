import { unavailable } from '@millrace/errors';
import type { Streams } from '../port.ts';

/**
 * Does work that rests on what the stream held when it began. Its `requireSame` throws `unavailable` once the connection
 * was lost: the server may have come back with less, and what it lost must go before anything new.
 */
export async function onOneConnection<T>(
  bus: Pick<Streams, 'connected' | 'onConnect'>,
  work: (requireSame: () => void) => Promise<T>,
): Promise<T> {
  let lost = false;
  const off = bus.onConnect(() => {
    lost = true;
  });
  try {
    return await work(() => {
      if (lost || !bus.connected) throw unavailable('NATS: the connection was lost; the stream');
    });
  } finally {
    off();
  }
}
