import { boostTrees, predictTrees } from './boosted-trees.ts';
import type { Dataset } from './dataset.ts';
import { fitLogistic, predictLogistic } from './logistic.ts';
import { logisticToOnnx, treesToOnnx } from './onnx.ts';

/** What is tried: a learner and its settings. */
export type Candidate =
  | { readonly name: string; readonly kind: 'logistic'; readonly lambda: number }
  | {
      readonly name: string;
      readonly kind: 'trees';
      readonly trees: number;
      readonly learningRate: number;
      readonly maxLeaves: number;
      readonly minRows: number;
      readonly lambda: number;
    };

/** What learning gives: the ONNX file, and what it says of the rows it learned from. */
export interface Learned {
  readonly onnx: Uint8Array;
  readonly fitted: Float64Array;
}

/** Learns from rows. `onProgress` gets the share that is done. */
export function learn(candidate: Candidate, data: Dataset, onProgress: (share: number) => void): Learned {
  const metadata = { features: data.names.join(','), candidate: candidate.name };
  if (candidate.kind === 'logistic') {
    const model = fitLogistic(data, candidate);
    onProgress(1);
    return { onnx: logisticToOnnx(model, metadata), fitted: predictLogistic(model, data) };
  }
  const model = boostTrees(data, { ...candidate, onTree: (done) => onProgress(done / candidate.trees) });
  return { onnx: treesToOnnx(model, data.columns.length, metadata), fitted: predictTrees(model, data) };
}
