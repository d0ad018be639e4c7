import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, contexts } from '@millrace/contracts';
import { invalidField } from '@millrace/errors';

/** Where a suite is reached. */
export interface Endpoints {
  /** `host:port` for each context; a context without one answers UNAVAILABLE. */
  readonly services: { readonly [C in Context]?: string };
  /** Where NATS listens; only event subscribers need it. */
  readonly natsUrl?: string;
  /** The bearer token, where the suite asks for one. */
  readonly token?: string;
}

/** The file in which a suite on one machine tells where it is. */
export const endpointsFile = 'endpoints.json';

/**
 * Finds a suite: by `MILLRACE_<CONTEXT>_ADDRESS`, `MILLRACE_NATS_URL` and `MILLRACE_AUTH_TOKEN` (so it is in pipeline
 * steps), else by the file that `millrace up` keeps in its data folder (`MILLRACE_DATA_DIR`, default `.millrace`).
 * INVALID_FIELD when there is neither.
 */
export function findEndpoints(env: Readonly<NodeJS.ProcessEnv> = process.env): Endpoints {
  const services = Object.fromEntries(
    contexts.flatMap((context) => {
      const address = env[`MILLRACE_${context.toUpperCase()}_ADDRESS`];
      return address ? [[context, address]] : [];
    }),
  );
  const found =
    Object.keys(services).length > 0 ? { services } : readEndpoints(env.MILLRACE_DATA_DIR ?? '.millrace');
  return {
    ...found,
    ...(env.MILLRACE_NATS_URL ? { natsUrl: env.MILLRACE_NATS_URL } : {}),
    ...(env.MILLRACE_AUTH_TOKEN ? { token: env.MILLRACE_AUTH_TOKEN } : {}),
  };
}

function readEndpoints(folder: string): Endpoints {
  const file = join(folder, endpointsFile);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Endpoints;
  } catch {
    const allowed =
      'a running suite (npm start), or MILLRACE_TRACKING_ADDRESS and the others set to host:port';
    throw invalidField('MILLRACE_DATA_DIR', `${file} tells of no suite`, allowed);
  }
}
