import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from '@millrace/contracts/onnx';

/** The graphs inside a node's attributes. */
export function* subgraphs(node: NodeProto): Generator<GraphProto> {
  for (const attribute of node.attribute) {
    if (attribute.g) yield attribute.g;
    yield* attribute.graphs;
  }
}

/** A model's graph and the graphs inside it, at any depth. */
export function* eachGraph(model: ModelProto): Generator<GraphProto> {
  const open = model.graph ? [model.graph] : [];
  for (let graph = open.pop(); graph; graph = open.pop()) {
    yield graph;
    // One by one: spread over a call's arguments, the graphs of one node can outgrow the stack.
    for (const node of graph.node) for (const inner of subgraphs(node)) open.push(inner);
  }
}

/** The tensors a graph holds itself: weights, sparse weights and tensors in attributes of its nodes. */
export function* eachTensor(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const sparse of graph.sparseInitializer) yield* partsOf(sparse);
  for (const node of graph.node) for (const attribute of node.attribute) yield* attributeTensors(attribute);
}

function* attributeTensors(attribute: AttributeProto): Generator<TensorProto> {
  if (attribute.t) yield attribute.t;
  yield* attribute.tensors;
  if (attribute.sparseTensor) yield* partsOf(attribute.sparseTensor);
  for (const sparse of attribute.sparseTensors) yield* partsOf(sparse);
}

function* partsOf(sparse: SparseTensorProto): Generator<TensorProto> {
  if (sparse.values) yield sparse.values;
  if (sparse.indices) yield sparse.indices;
}
