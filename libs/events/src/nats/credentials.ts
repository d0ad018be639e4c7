import { readFileSync } from 'node:fs';
import { invalidField } from '@millrace/errors';
import { credsAuthenticator, type NodeConnectionOptions } from '@nats-io/transport-node';

/** How to identify to NATS. A user and password may also stand in the URL. */
export type Credentials =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  /** The path of a `.creds` file. */
  | { readonly credsFile: string };

/** The client's options for a list of addresses. Throws INVALID_FIELD for what is not a NATS address. */
export function connectionOptions(url: string, credentials?: Credentials): NodeConnectionOptions {
  const urls = url.split(',').map((part) => parseUrl(part.trim()));
  const first = urls[0]!;
  const servers = urls.map(({ hostname, port }) => `${hostname}:${port || 4222}`);
  return {
    servers,
    ...(urls.some(({ protocol }) => protocol === 'tls:') ? { tls: {} } : {}),
    ...(credentials ? fromCredentials(credentials) : fromUrl(first)),
  };
}

/** The addresses without user and password, for people and logs. */
export function shownUrl(url: string): string {
  return url.replace(/\/\/[^@/,]*@/g, '//');
}

function parseUrl(text: string): URL {
  const parsed = URL.parse(text.includes('://') ? text : `nats://${text}`);
  if (parsed?.hostname && (parsed.protocol === 'nats:' || parsed.protocol === 'tls:')) return parsed;
  throw invalidField('NATS_URL', `${JSON.stringify(shownUrl(text))} is not an address`, 'nats://host:port');
}

function fromUrl({ username, password }: URL): NodeConnectionOptions {
  if (username === '') return {};
  const user = decodeURIComponent(username);
  return password === '' ? { token: user } : { user, pass: decodeURIComponent(password) };
}

function fromCredentials(credentials: Credentials): NodeConnectionOptions {
  if ('token' in credentials) return { token: credentials.token };
  if ('user' in credentials) return { user: credentials.user, pass: credentials.password };
  // Read again at every connection: the file may have been renewed.
  return { authenticator: (nonce) => credsAuthenticator(readFileSync(credentials.credsFile))(nonce) };
}
