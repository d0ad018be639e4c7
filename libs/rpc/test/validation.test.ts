import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { names } from '@millrace/contracts';
import {
  ColumnBatchSchema,
  Format,
  TagSchema,
  TensorSpecSchema,
  ValueSchema,
} from '@millrace/contracts/common';
import { isCoded } from '@millrace/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validatorOf } from '../src/index.ts';
import { declare, type FieldSpec, messageOf, type Rules, Type, typeWith } from './schema.ts';

/** The violations of a message, as `path: description`. */
function violations(type: DescMessage, init: object): string[] {
  try {
    validatorOf(type)?.(create(type, init as never) as Message);
  } catch (error) {
    if (!isCoded(error, 'INVALID_FIELD')) throw error;
    return error.violations.map((v) => `${v.field}: ${v.description}`);
  }
  return [];
}

/** Whether a value of one field of this sort is valid. */
function accepts(spec: FieldSpec): (value: unknown) => boolean {
  const type = typeWith(spec);
  return (f) => violations(type, { f }).length === 0;
}

const text = (rules: Rules) => accepts({ type: Type.STRING, rules });
const anyText = fc.string({ unit: 'binary', maxLength: 30 });
const noNul = anyText.filter((s) => !s.includes('\0'));

describe('texts', () => {
  it('count their lengths in characters, not in UTF-16 units', () => {
    const limited = text({ minLen: 2, maxLen: 5 });
    fc.assert(
      fc.property(noNul, (s) => {
        const { length } = [...s];
        return limited(s) === (length >= 2 && length <= 5);
      }),
    );
    expect(limited('😀😀😀😀😀')).toBe(true);
    expect(limited('😀')).toBe(false);
  });

  it('must not contain NUL, also without rules', () => {
    const plain = accepts({ type: Type.STRING });
    fc.assert(fc.property(anyText, (s) => plain(s) === !s.includes('\0')));
    expect(violations(typeWith({ type: Type.STRING, list: true }), { f: ['a', '\0'] })).toEqual([
      'f[1]: contains NUL; allowed: text without NUL',
    ]);
  });

  it('may be required', () => {
    const required = text({ required: true });
    fc.assert(fc.property(noNul, (s) => required(s) === (s !== '')));
  });

  it.each<[Format, RegExp, string]>([
    [Format.PROJECT, /^(?=.{0,63}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$/, 'az09-A_'],
    [Format.IDENTIFIER, /^([A-Za-z_][A-Za-z0-9_]{0,127})?$/, 'aZ_09-.'],
    [Format.LABEL, /^([a-z][a-z0-9_-]{0,62})?$/, 'az0_-A'],
    [Format.REQUEST_ID, /^[A-Za-z0-9._:-]{0,128}$/, 'aZ0._:-/ '],
    [Format.DIGEST, /^(sha256:[0-9a-f]{64})?$/, '0af'],
    [Format.ARTIFACT_PATH, /^$|^(?!(?:.*\/)?\.{1,2}(?:\/|$))[^/]+(\/[^/]+)*$/, 'a./ '],
  ])('of format %s fit its description', (format, pattern, letters) => {
    const fits = text({ format });
    const drawn = fc.string({ unit: fc.constantFrom(...letters), maxLength: 140 });
    fc.assert(fc.property(fc.oneof(drawn, noNul), (s) => fits(s) === pattern.test(s)));
  });

  it('of format NAME have 1 to 256 characters and no control characters', () => {
    const fits = text({ format: Format.NAME });
    fc.assert(fc.property(noNul, (s) => fits(s) === !/\p{Cc}/u.test(s)));
    expect(fits('é'.repeat(256))).toBe(true);
    expect(fits('x'.repeat(257))).toBe(false);
  });

  it('of format NAME make resource names that are accepted', () => {
    const { pattern, format } = names.modelVersion;
    const named = text({ format: Format.NAME });
    const reference = text({ resource: pattern });
    const long = fc.constantFrom(
      '中'.repeat(256),
      '😀'.repeat(256),
      '😀'.repeat(257),
      '\x85',
      '.',
      '..',
      '/',
    );
    fc.assert(
      fc.property(fc.oneof(noNul, long), (model) => {
        fc.pre(model.isWellFormed() && model !== '');
        return reference(format({ project: 'default', model, version: '1' })) === named(model);
      }),
    );
  });

  it('of format DIGEST are sha256 and 64 digits; paths have at most 1024 characters', () => {
    expect(text({ format: Format.DIGEST })(`sha256:${'0a'.repeat(32)}`)).toBe(true);
    expect(text({ format: Format.DIGEST })(`sha256:${'0A'.repeat(32)}`)).toBe(false);
    expect(text({ format: Format.ARTIFACT_PATH })('a/'.repeat(512).slice(0, 1023))).toBe(true);
    expect(text({ format: Format.ARTIFACT_PATH })(`a${'b'.repeat(1024)}`)).toBe(false);
  });

  it('may be resource names', () => {
    const type = typeWith({ type: Type.STRING, rules: { resource: 'projects/{project}/models/{model}' } });
    const fits = (f: string) => violations(type, { f }).length === 0;
    for (const good of ['', 'projects/a/models/b', 'projects/a-1/models/a%2Fb%20%C3%A9'])
      expect([good, fits(good)]).toEqual([good, true]);
    for (const bad of [
      'projects/A/models/b',
      'projects/a/models/',
      'projects/a/models/b/c',
      'a',
      'projects/a/models/%',
    ])
      expect([bad, fits(bad)]).toEqual([bad, false]);
    expect(violations(type, { f: 'x' })).toEqual([
      'f: "x" is not such a name; allowed: projects/{project}/models/{model}',
    ]);
  });
});

describe('numbers', () => {
  it.each([
    ['double', Type.DOUBLE, fc.double()],
    ['float', Type.FLOAT, fc.float()],
    ['int32', Type.INT32, fc.integer()],
    ['uint32', Type.UINT32, fc.nat()],
    ['sint64', Type.SINT64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    ['fixed64', Type.FIXED64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  ] as const)('of type %s keep their bounds', (_, type, values: fc.Arbitrary<number | bigint>) => {
    const bound = fc.integer({ min: -100, max: 100 });
    const near = fc.oneof(values, type === Type.UINT32 || type === Type.INT32 ? fc.nat(100) : values);
    fc.assert(
      fc.property(bound, bound, near, (a, b, value) => {
        const outer = accepts({ type, rules: { gte: a, lte: b } });
        const inner = accepts({ type, rules: { gt: a, lt: b } });
        return outer(value) === (value >= a && value <= b) && inner(value) === (value > a && value < b);
      }),
      { numRuns: 60 },
    );
  });

  it('may have to be finite; otherwise NaN and infinities are values', () => {
    const finite = accepts({ type: Type.DOUBLE, rules: { finite: true } });
    const free = accepts({ type: Type.DOUBLE });
    fc.assert(fc.property(fc.double(), (n) => finite(n) === Number.isFinite(n) && free(n)));
    expect(accepts({ type: Type.DOUBLE, rules: { gte: 0 } })(Number.NaN)).toBe(false);
  });

  it('say what is wrong and what is allowed', () => {
    const type = typeWith({ type: Type.DOUBLE, rules: { gte: 0, lt: 1, finite: true } });
    expect(violations(type, { f: 2 })).toEqual([
      'f: is 2; allowed: a finite number, at least 0, less than 1',
    ]);
  });

  it('with explicit presence are only checked when given, and may be required', () => {
    const spec = { type: Type.INT32, optional: true };
    expect(accepts({ ...spec, rules: { gte: 1 } })(undefined)).toBe(true);
    expect(accepts({ ...spec, rules: { gte: 1 } })(0)).toBe(false);
    expect(accepts({ ...spec, rules: { required: true } })(undefined)).toBe(false);
    expect(accepts({ ...spec, rules: { required: true } })(0)).toBe(true);
  });
});

it('bytes keep their lengths', () => {
  const limited = accepts({ type: Type.BYTES, rules: { minLen: 2, maxLen: 5, required: true } });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9 }), (b) => limited(b) === (b.length >= 2 && b.length <= 5)),
  );
});

describe('lists', () => {
  it('keep their lengths and the rules of their items', () => {
    const rules = { minItems: 1, maxItems: 4, items: { gte: 0, lte: 9 } };
    const limited = accepts({ type: Type.INT32, list: true, rules });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -2, max: 11 }), { maxLength: 7 }), (list) => {
        const ok = list.length >= 1 && list.length <= 4 && list.every((n) => n >= 0 && n <= 9);
        return limited(list) === ok;
      }),
    );
    expect(accepts({ type: Type.STRING, list: true, rules: { required: true } })([])).toBe(false);
  });

  it.each([
    ['texts', Type.STRING, fc.constantFrom('a', 'b', 'ab', '')],
    ['doubles', Type.DOUBLE, fc.constantFrom(1, 2, Number.NaN)],
    ['64-bit numbers', Type.INT64, fc.constantFrom(1n, 2n, 2n ** 62n)],
    ['bytes', Type.BYTES, fc.uint8Array({ maxLength: 1 })],
  ] as const)('of %s may have to be unique', (_, type, items: fc.Arbitrary<unknown>) => {
    const unique = accepts({ type, list: true, rules: { unique: true } });
    fc.assert(
      fc.property(fc.array(items, { maxLength: 4 }), (list) => {
        const keys = list.map((x) => (x instanceof Uint8Array ? `b${x.join()}` : x));
        return unique(list) === (new Set(keys).size === keys.length);
      }),
    );
  });

  it('that are much too long are refused without walking them', () => {
    const type = typeWith({ type: Type.INT32, list: true, rules: { maxItems: 3, items: { gte: 1 } } });
    expect(violations(type, { f: new Array(1000).fill(0) })).toEqual([
      'f: has 1000 items; allowed: at most 3',
    ]);
  });
});

describe('messages in messages', () => {
  it('are checked, and paths are in proto names', () => {
    const type = messageOf(
      declare({
        Leaf: { the_key: { type: Type.STRING, rules: { required: true } } },
        Branch: {
          some_leaves: { type: Type.MESSAGE, typeName: '.millrace.rpctest.v1.Leaf', list: true },
          one_leaf: { type: Type.MESSAGE, typeName: '.millrace.rpctest.v1.Leaf', oneof: true },
          a_number: { type: Type.INT32, oneof: true, rules: { gte: 1 } },
          branch: { type: Type.MESSAGE, typeName: '.millrace.rpctest.v1.Branch' },
        },
        Root: {
          branch: { type: Type.MESSAGE, typeName: '.millrace.rpctest.v1.Branch', rules: { required: true } },
        },
      }),
      'Root',
    );
    expect(violations(type, {})).toEqual(['branch: not given; allowed: a value']);
    const branch = {
      someLeaves: [{ theKey: 'a' }, { theKey: '' }],
      choice: { case: 'oneLeaf', value: { theKey: '' } },
      branch: { choice: { case: 'aNumber', value: 0 } },
    };
    expect(violations(type, { branch })).toEqual([
      'branch.some_leaves[1].the_key: empty; allowed: text that is not empty',
      'branch.one_leaf.the_key: empty; allowed: text that is not empty',
      'branch.branch.a_number: is 0; allowed: at least 1',
    ]);
    expect(violations(type, { branch: { someLeaves: [{ theKey: 'x' }] } })).toEqual([]);
  });

  it('need no validator where nothing can be wrong', () => {
    const registry = declare({
      Numbers: {
        a: { type: Type.DOUBLE, list: true },
        b: { type: Type.BYTES },
        c: { type: Type.MESSAGE, typeName: '.millrace.rpctest.v1.Numbers' },
        d: { type: Type.MESSAGE, typeName: '.google.protobuf.Int64Value' },
      },
      Holder: {
        numbers: { type: Type.MESSAGE, typeName: '.millrace.rpctest.v1.Numbers' },
        text: { type: Type.STRING },
      },
    });
    expect(validatorOf(messageOf(registry, 'Numbers'))).toBeUndefined();
    expect(validatorOf(messageOf(registry, 'Holder'))).toBeDefined();
  });

  it('tell at most twenty violations', () => {
    const type = typeWith({ type: Type.INT32, list: true, rules: { items: { gte: 1 } } });
    const found = violations(type, { f: new Array(1000).fill(0) });
    expect(found).toHaveLength(20);
    expect(found[19]).toBe('f[19]: is 0; allowed: at least 1');
  });
});

it('enum values must be defined, and may be required', () => {
  const spec = { type: Type.ENUM, typeName: '.millrace.common.v1.ColumnType' };
  const defined = accepts(spec);
  const required = accepts({ ...spec, rules: { required: true } });
  fc.assert(
    fc.property(fc.integer({ min: -3, max: 9 }), (n) => {
      return defined(n) === (n >= 0 && n <= 5) && required(n) === (n >= 1 && n <= 5);
    }),
  );
  expect(violations(typeWith({ ...spec, list: true }), { f: [1, 99] })[0]).toMatch(
    /^f\[1\]: 99 is not a value of millrace.common.v1.ColumnType; allowed: COLUMN_TYPE_BOOL, /,
  );
});

describe('moments and durations', () => {
  const seconds = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const edge = fc.constantFrom(0n, 1n, -1n, -62135596800n, -62135596801n, 253402300799n, 253402300800n);
  const nanos = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 1, 999_999_999, 1_000_000_000));

  it('are in their documented ranges', () => {
    const moment = accepts({ type: Type.MESSAGE, typeName: '.google.protobuf.Timestamp' });
    const span = accepts({ type: Type.MESSAGE, typeName: '.google.protobuf.Duration' });
    fc.assert(
      fc.property(fc.oneof(seconds, edge), nanos, (s, n) => {
        const good = s >= -62135596800n && s <= 253402300799n && n >= 0 && n <= 999_999_999;
        const size = s < 0n ? -s : s;
        const goodSpan =
          size <= 315576000000n && Math.abs(n) <= 999_999_999 && !(s > 0n && n < 0) && !(s < 0n && n > 0);
        return moment({ seconds: s, nanos: n }) === good && span({ seconds: s, nanos: n }) === goodSpan;
      }),
      { numRuns: 500 },
    );
  });

  it('are checked inside oneofs', () => {
    const kind = { case: 'timestampValue', value: { seconds: 2n ** 62n, nanos: 0 } };
    expect(violations(ValueSchema, { kind })[0]).toMatch(/^timestamp_value: is 4611686018427387904 s/);
  });
});

it('maps are checked by key and value, and keep their sizes', () => {
  const type = typeWith({ type: Type.INT32, map: true, rules: { maxItems: 3, items: { gte: 1 } } });
  expect(violations(type, { f: { a: 1, b: 2 } })).toEqual([]);
  expect(violations(type, { f: { 'a"b': 0, 'x\0': 1 } })).toEqual([
    'f["a\\"b"]: is 0; allowed: at least 1',
    'f["x\\u0000"]: the key contains NUL; allowed: text without NUL',
  ]);
  expect(violations(type, { f: { a: 1, b: 1, c: 1, d: 1 } })).toEqual([
    'f: has 4 entries; allowed: at most 3',
  ]);
  const ofMessages = typeWith({ type: Type.MESSAGE, typeName: '.millrace.common.v1.Tag', map: true });
  expect(violations(ofMessages, { f: { a: { key: '' } } })[0]).toMatch(/^f\["a"\].key: empty/);
});

it('rules that do not fit their field stop the compilation', () => {
  const wrong: readonly [FieldSpec, string][] = [
    [{ type: Type.INT32, rules: { maxLen: 3 } }, 'max_len'],
    [{ type: Type.INT32, rules: { finite: true } }, 'finite'],
    [{ type: Type.STRING, rules: { gte: 3 } }, 'gte'],
    [{ type: Type.STRING, list: true, rules: { format: Format.NAME } }, 'format'],
    [
      { type: Type.STRING, list: true, rules: { items: { lte: 3, minItems: 2 } } },
      'items.lte, items.min_items',
    ],
    [{ type: Type.STRING, rules: { unique: true } }, 'unique'],
    [{ type: Type.BOOL, rules: { gte: 1 } }, 'gte'],
  ];
  for (const [spec, names] of wrong)
    expect(() => validatorOf(typeWith(spec))).toThrow(`millrace.rpctest.v1.T.f cannot have: ${names}`);
});

it('the shared shapes are checked by their own rules', () => {
  expect(violations(TagSchema, { key: 'a', value: 'b' })).toEqual([]);
  expect(violations(TagSchema, { value: 'x'.repeat(8193) })).toEqual([
    'key: empty; allowed: 1 to 256 characters, none of them control characters',
    'value: has 8193 characters; allowed: at most 8192',
  ]);
  expect(violations(TensorSpecSchema, { name: 'x', type: 11, shape: [-1n, 3n, -2n] })).toEqual([
    'shape[2]: is -2; allowed: at least -1',
  ]);
  expect(violations(ColumnBatchSchema, { columns: [{ name: 'a', type: 1 }, { name: 'b\n' }] })).toEqual([
    'columns[1].name: "b\\n"; allowed: 1 to 256 characters, none of them control characters',
    'columns[1].type: not given; allowed: COLUMN_TYPE_BOOL, COLUMN_TYPE_INT64, COLUMN_TYPE_DOUBLE, COLUMN_TYPE_STRING, COLUMN_TYPE_TIMESTAMP',
  ]);
});
