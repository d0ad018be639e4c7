import { readdir, readFile } from 'node:fs/promises';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type SecureClientSessionOptions,
} from 'node:http2';
import { platform } from 'node:os';

/** gRPC by hand, for what no decent client does; and what a process holds, as the system counts it. */

/** A connection whose failures are nobody's concern. */
export function dial(address: string, options: SecureClientSessionOptions = {}): ClientHttp2Session {
  // Megabytes; what wants to send much must not be stopped by its own library.
  const session = connect(`http://${address}`, { maxSessionMemory: 2_000, ...options });
  session.on('error', () => undefined);
  return session;
}

/** A call under way. */
export interface RawCall {
  readonly stream: ClientHttp2Stream;
  /** Settles at the first bytes of an answer. */
  readonly first: Promise<void>;
  /** The status in the answer; undefined when the stream ended without one. */
  readonly status: Promise<number | undefined>;
}

/** Starts a call and leaves its request open. */
export function begin(
  session: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): RawCall {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  const first = new Promise<void>((resolve) => stream.once('data', () => resolve()));
  const status = new Promise<number | undefined>((resolve) => {
    const told = (answer: Record<string, unknown>) => {
      if (answer['grpc-status'] !== undefined) resolve(Number(answer['grpc-status']));
    };
    stream.on('response', told);
    stream.on('trailers', told);
    stream.on('close', () => resolve(undefined));
  });
  return { stream, first, status };
}

/** A message as it travels; `size` is what its prefix says, if that shall be a lie. */
export function frame(message: Uint8Array, size = message.length, compressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(size, 1);
  return Buffer.concat([prefix, message]);
}

/** Why open files and memory of a process cannot be counted here; undefined when they can. */
export async function missingCounts(filesNeeded: number): Promise<string | undefined> {
  if (platform() !== 'linux') return 'counts open files and memory in /proc, which is on Linux';
  const { userLimits } = process.report.getReport() as {
    userLimits?: { open_files?: { soft: number | string } };
  };
  const most = Number(userLimits?.open_files?.soft ?? Number.POSITIVE_INFINITY);
  return most < filesNeeded ? `needs ${filesNeeded} open files, and a process may have ${most}` : undefined;
}

/** How many files, sockets included, a process has open. */
export async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** The memory of a process that is resident, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const found = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) * 1024;
}
