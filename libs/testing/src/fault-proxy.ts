import { createConnection, createServer, type Socket } from 'node:net';

/** A TCP proxy that misbehaves on demand. */
export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly port: number;
  /** Delays every chunk in both directions; 0 ends that. */
  delay(ms: number): void;
  /** Ends the connections there are, at once and without a goodbye. */
  cut(): void;
  /** Passes nothing on in either direction; connections stay open, new ones are accepted. */
  freeze(): void;
  /** Passes on again, first what was held back. */
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts a proxy on a free loopback port in front of `target` (`host:port`). */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port: targetPort } = new URL(`tcp://${target.replace(/^\w+:\/\//, '')}`);
  const sockets = new Set<Socket>();
  let delayMs = 0;
  let frozen = false;

  function pass(from: Socket, to: Socket): void {
    // One chunk after the other, so that a changed delay cannot reorder them.
    let before = Promise.resolve();
    from.on('data', (chunk) => {
      const ms = delayMs;
      before = before.then(async () => {
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        if (!to.destroyed) to.write(chunk);
      });
    });
    from.on('end', () => void before.then(() => to.end()));
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      if (!from.readableEnded) to.destroy();
    });
    if (frozen) from.pause();
  }

  const server = createServer((near) => {
    const far = createConnection({ host: hostname, port: Number(targetPort) });
    sockets.add(near).add(far);
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const stop = async () => {
    cut();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    address: `127.0.0.1:${port}`,
    port,
    delay: (ms) => {
      delayMs = ms;
    },
    cut,
    freeze: () => {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw: () => {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
