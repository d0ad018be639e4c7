import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A store behind a front that refuses some requests. */
export interface BusyFront extends AsyncDisposable {
  readonly address: string;
  /** How many were refused so far. */
  readonly refused: number;
  /** Answers 503 to this share of the requests, as `random` decides. */
  refuse(share: number): void;
}

/** Starts one in front of an HTTP server. Nothing else is changed: signatures of requests stay right. */
export async function startBusyFront(target: string, random: () => number): Promise<BusyFront> {
  const { hostname: host, port } = new URL(target);
  let [share, refused] = [0, 0];
  const server = createServer((asked, answer) => {
    if (random() < share) {
      refused++;
      asked.resume();
      answer.writeHead(503).end();
      return;
    }
    const options = { host, port, method: asked.method, path: asked.url, headers: asked.headers };
    const passed = request(options, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.on('error', () => answer.destroy()).pipe(answer);
    });
    answer.on('close', () => passed.destroy());
    asked.on('error', () => passed.destroy()).pipe(passed.on('error', () => answer.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get refused() {
      return refused;
    },
    refuse: (wanted) => {
      share = wanted;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
