export type { ElementType } from './data-type.ts';
export { type ReadResult, readModel, tryReadModel, writeModel } from './file.ts';
export { foreignFormat } from './foreign-format.ts';
export { inspect, type ModelInspection, type TensorInfo } from './inspect.ts';
export { defaultLimits, type ModelLimits } from './limits.ts';
export { type LinearSpec, linearRegressor, logisticClassifier } from './linear.ts';
export { createGraph, createModel, type GraphPart, type GraphSpec, type ModelSpec } from './model.ts';
export { type AttributeValue, attribute, type NodeOptions, node } from './node.ts';
export type { Refusal, RefusalCode } from './refusal.ts';
export { checkSafety, type Examination, examine } from './safety.ts';
export { type TensorValues, tensor, type ValueSpec } from './tensor.ts';
export {
  type Tree,
  type TreeEnsembleSpec,
  type TreeLeaf,
  type TreeSplit,
  treeEnsembleClassifier,
  treeEnsembleRegressor,
} from './trees.ts';
