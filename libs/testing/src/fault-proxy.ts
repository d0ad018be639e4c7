import { createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** `up` from the client to the server, `down` back. */
type Way = 'up' | 'down';

/** A TCP proxy that misbehaves on demand. It changes no byte and no order. */
export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly port: number;
  /** Connections there are. */
  readonly connections: number;
  /** Delays every chunk in both directions; 0 ends that. */
  delay(ms: number): void;
  /** Passes on one byte after the other, with a pause between them; 0 ends that. */
  drip(everyMs: number): void;
  /** Ends the connections there are, at once and without a goodbye. */
  cut(): void;
  /** Cuts each connection, also new ones, when so many bytes have come down in it; Infinity ends that. */
  cutAfter(bytes: number): void;
  /** Ends the connections there are as a peer does that is done. */
  close(): void;
  /** Passes nothing on, one way or both; connections stay open, new ones are accepted. */
  freeze(way?: Way): void;
  /** Passes on again, first what was held back. */
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts a proxy on a free loopback port in front of `target` (`host:port`). */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port: targetPort } = new URL(`tcp://${target.replace(/^\w+:\/\//, '')}`);
  const sockets = new Map<Socket, Way>();
  const frozen = new Set<Way>();
  let delayMs = 0;
  let dripMs = 0;
  let cutAfter = Number.POSITIVE_INFINITY;

  /** Writes a chunk, or its bytes one by one for as long as that is wanted. */
  async function write(to: Socket, chunk: Buffer): Promise<void> {
    let at = 0;
    while (dripMs > 0 && at < chunk.length && !to.destroyed) {
      to.write(chunk.subarray(at, ++at));
      await sleep(dripMs);
    }
    if (!to.destroyed && at < chunk.length) to.write(chunk.subarray(at));
  }

  function pass(from: Socket, to: Socket, way: Way): void {
    // One chunk after the other, so that a changed delay cannot reorder them.
    let before = Promise.resolve();
    let passed = 0;
    from.on('data', (chunk: Buffer) => {
      const ms = delayMs;
      before = before.then(async () => {
        if (ms > 0) await sleep(ms);
        const left = way === 'down' ? cutAfter - passed : Number.POSITIVE_INFINITY;
        passed += chunk.length;
        await write(to, left < chunk.length ? chunk.subarray(0, Math.max(0, left)) : chunk);
        // What was written before is given the time to leave: a reset would overtake it.
        if (left <= chunk.length) setTimeout(() => from.destroy(), 20);
      });
    });
    from.on('end', () => void before.then(() => to.end()));
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      if (!from.readableEnded) to.destroy();
    });
    if (frozen.has(way)) from.pause();
  }

  const server = createServer((near) => {
    const far = createConnection({ host: hostname, port: Number(targetPort) });
    sockets.set(near, 'up').set(far, 'down');
    pass(near, far, 'up');
    pass(far, near, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const cut = () => {
    for (const socket of sockets.keys()) socket.resetAndDestroy();
  };
  const stop = async () => {
    cut();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    address: `127.0.0.1:${port}`,
    port,
    get connections() {
      return [...sockets.values()].filter((way) => way === 'up').length;
    },
    delay: (ms) => {
      delayMs = ms;
    },
    drip: (everyMs) => {
      dripMs = everyMs;
    },
    cut,
    cutAfter: (bytes) => {
      cutAfter = bytes;
    },
    close: () => {
      for (const socket of sockets.keys()) socket.end();
    },
    freeze: (only) => {
      for (const way of only ? [only] : (['up', 'down'] as const)) frozen.add(way);
      for (const [socket, way] of sockets) if (frozen.has(way)) socket.pause();
    },
    thaw: () => {
      frozen.clear();
      for (const socket of sockets.keys()) socket.resume();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
