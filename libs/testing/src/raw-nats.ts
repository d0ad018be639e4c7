import { once } from 'node:events';
import { connect } from 'node:net';

/** A message as bytes: no client library stands between a test and the server. */
export interface RawMessage {
  readonly subject: string;
  /** Everything up to the empty line, that included. @default none */
  readonly header?: Uint8Array;
  readonly data?: Uint8Array;
}

/** Publishes messages as they are, also such as no client would send, and waits until the server has read them. */
export async function publishRaw(url: string, messages: readonly RawMessage[]): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const refusals: string[] = [];
  try {
    await once(socket, 'data');
    const options = {
      verbose: false,
      pedantic: false,
      headers: true,
      protocol: 1,
      lang: 'test',
      version: '1',
    };
    socket.write(`CONNECT ${JSON.stringify(options)}\r\n`);
    for (const { subject, header, data = new Uint8Array() } of messages) {
      const sizes = header ? `${header.length} ${header.length + data.length}` : data.length;
      socket.write(`${header ? 'HPUB' : 'PUB'} ${subject} ${sizes}\r\n`);
      if (header) socket.write(header);
      socket.write(data);
      socket.write('\r\n');
    }
    socket.write('PING\r\n');
    for await (const chunk of socket) {
      const text = String(chunk);
      if (text.includes('-ERR')) refusals.push(text.trim());
      if (text.includes('PONG') || refusals.length > 0) break;
    }
  } finally {
    socket.destroy();
  }
  if (refusals.length > 0) throw new Error(`the server refused: ${refusals.join()}`);
}

/** The bytes of a header block with these lines; each character is one byte. */
export function rawHeader(...lines: readonly string[]): Buffer {
  return Buffer.from(`NATS/1.0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1');
}
