import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { startChild } from './child.ts';

/** A bare grpc-js client and server: what a call of these sizes costs at least. */
export interface Echo {
  /** One call with a request and an answer of so many bytes; both at least four. */
  unary(requestBytes: number, answerBytes: number): Promise<void>;
  /** One stream with so many messages, `inFlight` of them unanswered at most. */
  stream(messages: number, requestBytes: number, answerBytes: number, inFlight: number): Promise<void>;
  close(): Promise<void>;
}

const same = (bytes: Buffer) => bytes;

export async function startEcho(): Promise<Echo> {
  const server = await startChild<{ port: number }>(new URL('./echo-server.ts', import.meta.url));
  const client = new Client(`127.0.0.1:${server.ready.port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    'grpc-node.flow_control_window': 1024 * 1024,
  });
  const requests = new Map<string, Buffer>();
  const requestOf = (size: number, answerBytes: number) => {
    const key = `${size} ${answerBytes}`;
    const request = requests.get(key) ?? Buffer.alloc(Math.max(4, size), 1);
    request.writeUInt32LE(answerBytes, 0);
    requests.set(key, request);
    return request;
  };
  return {
    unary: (requestBytes, answerBytes) =>
      new Promise((resolve, reject) => {
        const request = requestOf(requestBytes, answerBytes);
        client.makeUnaryRequest(
          '/floor.Echo/Unary',
          same,
          same,
          request,
          new Metadata(),
          { deadline: Date.now() + 30_000 },
          (error) => (error ? reject(error) : resolve()),
        );
      }),
    stream: (messages, requestBytes, answerBytes, inFlight) =>
      new Promise((resolve, reject) => {
        const request = requestOf(requestBytes, answerBytes);
        const call = client.makeBidiStreamRequest('/floor.Echo/Stream', same, same, new Metadata(), {});
        let [sent, got] = [0, 0];
        const send = () => {
          if (sent++ < messages) call.write(request);
        };
        call.on('data', () => {
          got += 1;
          if (got === messages) call.end();
          else send();
        });
        call.on('end', resolve);
        call.on('error', reject);
        for (let n = 0; n < inFlight; n++) send();
      }),
    close: async () => {
      client.close();
      await server.stop();
    },
  };
}
