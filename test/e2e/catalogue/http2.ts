import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as tcp } from 'node:net';

/** What one HTTP/2 request was answered with; undefined where the connection ended. */
export interface Answer {
  readonly http?: number | undefined;
  readonly grpc?: number | undefined;
}

/** Sends one request as no gRPC library would. */
export function send(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array = new Uint8Array(),
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request(headers);
    let answer: Answer = {};
    const grpcOf = (found: Readonly<Record<string, unknown>>) =>
      found['grpc-status'] === undefined ? {} : { grpc: Number(found['grpc-status']) };
    stream.on('response', (found) => {
      answer = { http: found[':status'], ...grpcOf(found) };
    });
    stream.on('trailers', (found) => {
      answer = { ...answer, ...grpcOf(found) };
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(answer));
    stream.resume();
    stream.end(body);
  });
}

/** A connection without any library on top; its errors are of no interest. */
export function open(address: string): ClientHttp2Session {
  const session = connect(`http://${address}`);
  session.on('error', () => undefined);
  return session;
}

/** A message with its gRPC prefix. */
export function framed(
  bytes: Uint8Array,
  options: { readonly compressed?: boolean; readonly says?: number } = {},
) {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(options.compressed ? 1 : 0, 0);
  prefix.writeUInt32BE(options.says ?? bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Sends bytes to a port and answers what came back until it was closed, at most for a second. */
export async function raw(address: string, bytes: string): Promise<string> {
  const [host = '', port = ''] = address.split(':');
  const socket = tcp(Number(port), host);
  let found = '';
  socket.on('data', (chunk) => {
    found += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(bytes);
  await Promise.race([once(socket, 'close'), new Promise((resolve) => setTimeout(resolve, 1_000))]);
  socket.destroy();
  return found;
}
