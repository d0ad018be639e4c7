import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Dataset } from './dataset.ts';

/** What an ONNX file says of rows: the very file that is served, on the runtime that serves it. */
export async function score(onnx: Uint8Array, data: Dataset): Promise<Float64Array> {
  const session = await InferenceSession.create(onnx, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const columns = data.columns.length;
  const values = new Float32Array(data.rowCount * columns);
  for (const [c, column] of data.columns.entries()) {
    for (let i = 0; i < data.rowCount; i++) values[i * columns + c] = column[i]!;
  }
  const answer = await session.run({ features: new Tensor('float32', values, [data.rowCount, columns]) });
  const scores = Float64Array.from(answer.probability?.data as Float32Array);
  await session.release();
  return scores;
}
