import { createServer } from 'node:net';
import { invalidField } from '@millrace/errors';

const host = '127.0.0.1';

/** Ports in the order asked for, and what is to be told about those that were taken. */
export interface ChosenPorts {
  readonly ports: readonly number[];
  readonly notes: readonly string[];
}

/**
 * Chooses a loopback port for each name: `base + offset` where it is free, else one that is. INVALID_FIELD when the base
 * leaves no room.
 */
export async function choosePorts(
  wanted: readonly { readonly name: string; readonly portOffset: number }[],
  base: number,
): Promise<ChosenPorts> {
  const last = 65_535 - Math.max(0, ...wanted.map((one) => one.portOffset));
  if (!Number.isInteger(base) || base < 1 || base > last)
    throw invalidField('--port-base', String(base), `a whole number from 1 to ${last}`);
  const notes: string[] = [];
  const ports = await Promise.all(
    wanted.map(async ({ name, portOffset }) => {
      const port = base + portOffset;
      if (await isFree(port)) return port;
      const other = await freePort();
      notes.push(`port ${port} is taken; ${name} listens on ${other}`);
      return other;
    }),
  );
  return { ports, notes };
}

/** Whether a loopback port can be listened on now. */
export async function isFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== undefined;
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const port = await listenOnce(0);
  if (port === undefined) throw new Error('the system gives no free port');
  return port;
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const taken = typeof address === 'object' && address ? address.port : undefined;
      server.close(() => resolve(taken));
    });
  });
}
