/** A bare grpc-js server that answers any call with the bytes that its first message asks for: the floor of every RPC. */
import { Server, ServerCredentials } from '@grpc/grpc-js';

const maxBytes = 64 * 1024 * 1024;
const server = new Server({
  'grpc.max_receive_message_length': maxBytes,
  'grpc.max_send_message_length': maxBytes,
  'grpc-node.flow_control_window': 1024 * 1024,
});
const same = (bytes: Buffer) => bytes;
const answers = new Map<number, Buffer>();
const answerOf = (size: number) => {
  const answer = answers.get(size) ?? Buffer.alloc(size, 1);
  answers.set(size, answer);
  return answer;
};
const method = (path: string, streams: boolean) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
server.addService(
  { unary: method('/floor.Echo/Unary', false), stream: method('/floor.Echo/Stream', true) },
  {
    // The first four bytes say how large the answer is to be.
    unary: (call: { request: Buffer }, answer: (error: null, bytes: Buffer) => void) =>
      answer(null, answerOf(call.request.readUInt32LE(0))),
    stream: (call: NodeJS.ReadWriteStream) => {
      call.on('data', (bytes: Buffer) => call.write(answerOf(bytes.readUInt32LE(0)) as never));
      call.on('end', () => call.end());
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${JSON.stringify({ ready: true, port })}\n`);
});
