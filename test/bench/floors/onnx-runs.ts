/**
 * Bare ONNX Runtime in a process of its own: one session, one run after the other, on one thread. Arguments: model file,
 * rows, columns. Messages in: { seconds }; out: runs per second.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [file = '', rows, columns] = process.argv.slice(2);
const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const shape = [Number(rows), Number(columns)];
const values = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => (i % 100) / 100);

process.on('message', async ({ seconds }: { seconds: number }) => {
  const begun = performance.now();
  let done = 0;
  while (performance.now() - begun < seconds * 1000) {
    await session.run({ x: new Tensor('float32', values, shape) });
    done += 1;
  }
  process.send?.(done / ((performance.now() - begun) / 1000));
});
process.stdout.write('{"ready":true}\n');
