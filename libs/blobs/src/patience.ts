import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request,
} from 'node:http';
import { Agent as HttpsAgent, request as secureRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '@millrace/errors';

/** Statuses of a store that is busy or away, not of a request that is wrong. */
const busy = new Set([408, 429, 499, 500, 502, 503, 504, 520]);
const tries = 4;
const firstPauseMs = 100;

/** How the object store is asked: connections that are kept, given up when nothing moves on them for `stallMs`. */
export interface ObjectTransport {
  readonly transport: Pick<typeof import('node:http'), 'request'>;
  readonly transportAgent: HttpAgent;
}

/**
 * The client's own way of asking again tries a busy store once, leaves its answer unread, writes to the console and
 * fails with an error that has no code; and it would wait for ever for a store that has frozen. So such answers become
 * errors with a code before it sees them, and `patiently` asks again.
 */
export function createTransport(secure: boolean, stallMs: number): ObjectTransport {
  const options = { keepAlive: true };
  const ask = secure ? secureRequest : request;
  const patient = (target: RequestOptions, receive: (response: IncomingMessage) => void): ClientRequest => {
    const asked = ask(target, (response) => {
      if (!busy.has(response.statusCode ?? 0)) return receive(response);
      response.resume();
      asked.destroy(failure('SlowDown', `the store answered ${response.statusCode}`));
    });
    asked.setTimeout(stallMs, () => asked.destroy(failure('ETIMEDOUT', `nothing moved for ${stallMs} ms`)));
    return asked;
  };
  return {
    transport: { request: patient as typeof request },
    transportAgent: secure ? new HttpsAgent(options) : new HttpAgent(options),
  };
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Whether a store that is busy or away caused this, so that asking again may help. */
function isPassing(error: unknown): boolean {
  const { code = '', kind } = error as { code?: string; kind?: string };
  return kind === undefined && /^(E[A-Z]+|SlowDown|ServiceUnavailable|InternalError)$/.test(code);
}

/** Does what may be done twice up to four times while the store is busy or away. UNAVAILABLE when it stays so. */
export async function patiently<T>(work: () => Promise<T>, mostTries = tries): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (attempt >= mostTries) throw away(error);
      await pause(attempt);
    }
  }
}

/**
 * Reads a range, and goes on where it stopped when the connection ends in the middle. What was read before counts: only
 * tries in a row that bring nothing use up the patience.
 */
export async function* readOn(
  open: (offset: number, length: number) => Promise<AsyncIterable<Uint8Array>>,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const end = offset + length;
  let at = offset;
  for (let attempt = 1; at < end; attempt++) {
    try {
      for await (const chunk of await open(at, end - at)) {
        at += chunk.byteLength;
        attempt = 0;
        yield chunk;
      }
      if (at < end) throw failure('ECONNRESET', `the answer ended ${end - at} bytes early`);
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (attempt >= tries) throw away(error);
      await pause(attempt);
    }
  }
}

function pause(attempt: number): Promise<void> {
  return sleep(firstPauseMs * 2 ** Math.max(0, attempt - 1) * (0.5 + Math.random()));
}

function away(cause: unknown): Error {
  return unavailable('the object store', { cause });
}
