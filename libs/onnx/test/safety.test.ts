import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  TensorProto_DataLocation as Location,
  type ModelProto,
  ModelProtoSchema,
  TrainingInfoProtoSchema,
} from '@millrace/contracts/onnx';
import { describe, expect, it } from 'vitest';
import {
  attribute,
  checkSafety,
  createGraph,
  defaultLimits,
  examine,
  inspect,
  node,
  type RefusalCode,
  tensor,
} from '../src/index.ts';
import { file, logisticFile } from './models.ts';

const text = (s: string) => new TextEncoder().encode(s);

/** The least model after a change of its messages. */
function altered(change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, file());
  change(model);
  return toBinary(ModelProtoSchema, model);
}

const codes = (bytes: Uint8Array, limits = defaultLimits): RefusalCode[] =>
  checkSafety(bytes, limits).map((refusal) => refusal.code);

describe('files of other formats are refused by name', () => {
  it.each([
    ['pickle', Uint8Array.of(0x80, 4, 0x95, 1, 2)],
    ['pickle', text("cos\nsystem\n(S'true'\ntR.")],
    ['pickle', text('(dp0\n.')],
    ['ZIP', Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0)],
    ['HDF5', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a, 0)],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8)],
    ['zlib', Uint8Array.of(0x78, 0x9c, 1)],
    ['safetensors', Uint8Array.of(0x40, 0, 0, 0, 0, 0, 0, 0, ...text('{"w":{}}'))],
    ['GGUF', text('GGUF....')],
    ['JSON', text('{"learner": {}}')],
    ['ELF', Uint8Array.of(0x7f, 0x45, 0x4c, 0x46)],
    ['TensorFlow Lite', Uint8Array.of(0x1c, 0, 0, 0, ...text('TFL3'))],
  ])('%s', (name, bytes) => {
    const [refusal] = checkSafety(bytes);
    expect(refusal?.code).toBe('NOT_ONNX');
    expect(refusal?.message).toContain(name);
  });

  it.each([
    ['nothing', new Uint8Array(), 'EMPTY'],
    ['text', text('hello, this is not a model'), 'MALFORMED'],
    ['half a model', file().subarray(0, 60), 'MALFORMED'],
    ['a message without a graph', Uint8Array.of(0x08, 8), 'NO_GRAPH'],
  ] as const)('%s', (_what, bytes, code) => expect(codes(bytes)).toEqual([code]));
});

describe('models that reach out of their file are refused', () => {
  it('external data of a weight, wherever it points', () => {
    for (const location of ['weights.bin', '../../etc/passwd', '/etc/passwd', '*/_ORT_MEM_ADDR_/*'])
      expect(
        codes(
          altered((model) => {
            const weight = model.graph!.initializer[0]!;
            weight.rawData = new Uint8Array();
            weight.externalData = [
              { $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location },
            ];
            weight.dataLocation = Location.EXTERNAL;
          }),
        ),
      ).toEqual(['EXTERNAL_DATA']);
  });

  it('external data of a tensor in an attribute of a sub-graph, without the location flag', () => {
    const constant = tensor('hidden', 'float32', [1], [1]);
    constant.externalData = [{ $typeName: 'onnx.StringStringEntryProto', key: 'location', value: 'x' }];
    const branch = createGraph({
      inputs: [],
      outputs: [{ name: 'b', type: 'float32', shape: [1] }],
      nodes: [node('Constant', [], ['b'], { value: attribute.tensor(constant) })],
    });
    const nodes = [
      node('If', ['x'], ['y'], {
        then_branch: attribute.graph(branch),
        else_branch: attribute.graph(branch),
      }),
    ];
    expect(codes(file({ nodes, initializers: [] }))).toEqual(['EXTERNAL_DATA']);
  });

  it.each([
    [
      'a custom domain',
      { nodes: [node('Evil', ['x'], ['y'], {}, { domain: 'evil.ops' })] },
      ['CUSTOM_DOMAIN'],
    ],
    [
      'an operator that loads a compiled context',
      { nodes: [node('EPContext', ['x'], ['y'], {}, { domain: 'com.microsoft' })] },
      ['FORBIDDEN_OPERATOR'],
    ],
  ] as const)('%s', (_what, spec, expected) =>
    expect(codes(file({ ...spec, initializers: [] }))).toEqual(expected),
  );

  it('a custom operator set that is imported and not used does no harm', () => {
    expect(codes(file({ opsets: { 'ai.onnx': 17, 'evil.ops': 1 } }))).toEqual([]);
  });

  it('local functions and training information', () => {
    expect(codes(altered((m) => m.functions.push(create(FunctionProtoSchema, { name: 'f' }))))).toEqual([
      'LOCAL_FUNCTION',
    ]);
    expect(codes(altered((m) => m.trainingInfo.push(create(TrainingInfoProtoSchema))))).toEqual([
      'TRAINING_INFO',
    ]);
  });
});

describe('models that cannot be right are refused', () => {
  const one = tensor('one', 'float32', [1], [1]);
  it.each<[string, Uint8Array, RefusalCode[]]>([
    ['a negative dimension', altered((m) => (m.graph!.initializer[0]!.dims = [-1n])), ['BAD_SHAPE']],
    [
      'a shape that overflows',
      altered((m) => (m.graph!.initializer[0]!.dims = [2n ** 31n, 2n ** 31n])),
      ['BAD_SHAPE'],
    ],
    ['fewer values than the shape', altered((m) => (m.graph!.initializer[0]!.dims = [3n])), ['BAD_TENSOR']],
    [
      'an input of an impossible shape',
      file({ inputs: [{ name: 'x', type: 'float32', shape: [2 ** 30, 2 ** 30] }] }),
      ['BAD_SHAPE'],
    ],
    [
      'an input of no elements and a dimension that no index can count',
      file({ inputs: [{ name: 'x', type: 'float32', shape: [0, 2 ** 62] }] }),
      ['BAD_SHAPE'],
    ],
    ['two weights of one name', file({ initializers: [one, one] }), ['DUPLICATE_NAME']],
    [
      'a value defined twice',
      file({ nodes: [node('Add', ['x', 'one'], ['y']), node('Add', ['x', 'one'], ['y'])] }),
      ['DUPLICATE_NAME'],
    ],
    ['an input nobody defines', file({ initializers: [] }), ['UNDEFINED_VALUE']],
    [
      'nodes out of order',
      file({ nodes: [node('Add', ['z', 'one'], ['y']), node('Neg', ['x'], ['z'])] }),
      ['UNDEFINED_VALUE'],
    ],
    ['an output nobody defines', file({ nodes: [] }), ['UNDEFINED_VALUE']],
    ['no outputs', file({ outputs: [] }), ['NO_GRAPH']],
    ['no operator set', file({ opsets: {} }), ['UNSUPPORTED_VERSION']],
    ['an IR version of the future', file({ irVersion: 99 }), ['UNSUPPORTED_VERSION']],
    [
      'a control character in a name',
      file({ inputs: [{ name: 'x\n', type: 'float32', shape: [] }], nodes: [node('Neg', ['one'], ['y'])] }),
      ['BAD_NAME'],
    ],
    [
      'an output that is no tensor',
      altered((m) => (m.graph!.output[0]!.type!.value = { case: undefined })),
      ['UNSUPPORTED_TYPE'],
    ],
  ])('%s', (_what, bytes, expected) => expect(codes(bytes)).toEqual(expected));

  it('graphs nested too deep', () => {
    let graph = createGraph({
      inputs: [],
      outputs: [{ name: 'g0', type: 'bool', shape: [] }],
      nodes: [node('Not', ['x'], ['g0'])],
    });
    for (let depth = 1; depth <= 5; depth++)
      graph = createGraph({
        inputs: [],
        outputs: [{ name: `g${depth}`, type: 'bool', shape: [] }],
        nodes: [
          node('If', ['x'], [`g${depth}`], {
            then_branch: attribute.graph(graph),
            else_branch: attribute.graph(graph),
          }),
        ],
      });
    const spec = { inputs: [{ name: 'x', type: 'bool', shape: [] }] as const, initializers: [] };
    const bytes = file({
      ...spec,
      nodes: [node('If', ['x'], ['y'], { then_branch: attribute.graph(graph) })],
    });
    expect(codes(bytes)).toEqual(['SUBGRAPH_DEPTH']);
  });
});

describe('sizes are bounded before anything is built', () => {
  it('bytes, nodes and weights', () => {
    expect(codes(file(), { ...defaultLimits, maxBytes: 10 })).toEqual(['TOO_LARGE']);
    expect(codes(logisticFile(), { ...defaultLimits, maxNodes: 3 })).toEqual(['TOO_COMPLEX']);
    expect(codes(logisticFile(), { ...defaultLimits, maxInitializerBytes: 3 })).toEqual(['TOO_LARGE']);
  });

  it('a file of empty messages, which would take gigabytes when built', () => {
    // GraphProto.node = field 1: two bytes for each empty node.
    const nodes = new Uint8Array(6_000_000).map((_, i) => (i % 2 === 0 ? 0x0a : 0));
    const length = [
      0x80 | (nodes.length & 0x7f),
      0x80 | ((nodes.length >> 7) & 0x7f),
      0x80 | ((nodes.length >> 14) & 0x7f),
      nodes.length >> 21,
    ];
    const bytes = new Uint8Array([8, 8, 0x3a, ...length, ...nodes]);
    expect(codes(bytes)).toEqual(['TOO_COMPLEX']);
  });

  it('inputs and outputs that no message can carry, each by itself or all together', () => {
    const identity = (type: 'float32' | 'string', shape: (number | string)[]) => {
      const port = { type, shape };
      return file({
        inputs: [{ ...port, name: 'x' }],
        outputs: [{ ...port, name: 'y' }],
        nodes: [node('Identity', ['x'], ['y'])],
      });
    };
    const twice = ['TOO_LARGE', 'TOO_LARGE'];
    expect(codes(identity('string', [2_000_000_000]))).toEqual([...twice, ...twice]);
    expect(codes(identity('float32', [500_000_000]))).toEqual([...twice, ...twice]);
    expect(codes(identity('float32', ['rows', 500_000_000]))).toEqual([...twice, ...twice]);
    expect(codes(identity('float32', ['rows', 20 * 1024 ** 2]))).toEqual([]);
    // Few bytes in a message and many in memory: as a text has 4 in one and 40 in the other.
    expect(codes(identity('string', [3_000_000]))).toEqual([]);
    expect(codes(identity('string', [7_000_000]))).toEqual(['TOO_LARGE']);
    const outputs = [{ name: 'y', type: 'float32', shape: [22 * 1024 ** 2] }] as const;
    expect(checkSafety(file({ outputs }))).toEqual([
      {
        code: 'TOO_LARGE',
        message:
          'each of its outputs takes at least 92274688 bytes; allowed are 83886080, the most that serving carries',
      },
    ]);
    const inputs = ['x', 'x2', 'x3'].map((name) => ({
      name,
      type: 'float64' as const,
      shape: ['rows', 4_000_000],
    }));
    expect(codes(file({ inputs }))).toEqual(['TOO_LARGE']);
    expect(codes(file({ inputs: inputs.slice(0, 2) }))).toEqual([]);
  });

  it('not outputs that cannot all be asked for at once, as long as one can and a run can hold them', () => {
    const segmentation = (pixels: number) => ({
      outputs: [
        { name: 'logits', type: 'float32' as const, shape: [1, 21, 1024, pixels] },
        { name: 'mask', type: 'float32' as const, shape: [1, 1024] },
      ],
      nodes: [node('Identity', ['x'], ['logits']), node('Identity', ['x'], ['mask'])],
    });
    expect(checkSafety(file(segmentation(1024)))).toEqual([]);
    expect(checkSafety(file(segmentation(8192)))).toEqual([
      {
        code: 'TOO_LARGE',
        message:
          'its outputs take at least 704647168 bytes of memory together; allowed are 536870912, the most that serving gives them',
      },
    ]);
  });

  it('a node of more graphs than a call has room for arguments', () => {
    const graphs = new Array(700_000).fill(create(GraphProtoSchema));
    const bytes = altered((model) =>
      model.graph!.node[0]!.attribute.push(create(AttributeProtoSchema, { name: 'g', graphs })),
    );
    expect(examine(bytes)).toMatchObject({ refusals: [], inspection: { nodeCount: 1 } });
  });

  it('a long list of packed numbers', () => {
    const values = Array.from({ length: 2000 }, (_, i) => i);
    const bytes = file({
      nodes: [node('Scaler', ['x'], ['y'], { offset: attribute.floats(values) }, { domain: 'ai.onnx.ml' })],
    });
    expect(codes(bytes, { ...defaultLimits, maxListNumbers: 1999 })).toEqual(['TOO_COMPLEX']);
    expect(codes(bytes, { ...defaultLimits, maxListNumbers: 2100 })).toEqual([]);
  });
});

describe('examine', () => {
  it('refuses what it could not check to its end, and says why for the log', () => {
    const fault = new RangeError('a bug');
    const broken = {
      ...defaultLimits,
      get domains(): never {
        throw fault;
      },
    };
    const message = 'it could not be checked to its end, so nobody knows whether it is safe';
    expect(examine(file(), broken)).toEqual({ refusals: [{ code: 'UNCHECKED', message }], fault });
  });
});

describe('inspect', () => {
  it('tells what a file says about itself', () => {
    const found = inspect(logisticFile());
    expect(found).toMatchObject({
      irVersion: 8,
      opsets: [
        { domain: 'ai.onnx', version: 17 },
        { domain: 'ai.onnx.ml', version: 3 },
      ],
      producer: 'millrace',
      inputs: [{ name: 'x', shape: [-1, 3] }],
      outputs: [{ name: 'probability', shape: [-1, 1] }],
      operators: ['Div', 'Gemm', 'Sigmoid', 'Sub'],
      nodeCount: 4,
      initializerBytes: 40,
      metadata: [{ key: 'trained_by', value: 'a test' }],
    });
  });

  it('refuses what is no model, naming the field', () => {
    expect(() => inspect(text('(dp0\n.'))).toThrow(/model: it is a Python pickle/);
  });
});
