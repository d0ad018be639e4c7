import type { MsgHdrs } from '@nats-io/transport-node';

/**
 * The headers of a message; undefined when it has none, and when they are not as NATS writes them. The client reads
 * them only when they are asked for, and throws: whoever may publish could end every reader with a space in a name.
 */
export function readHeaders(read: () => MsgHdrs | undefined): MsgHdrs | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
