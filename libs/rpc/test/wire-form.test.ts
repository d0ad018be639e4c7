import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ColumnSchema } from '@millrace/contracts/common';
import { ModelInferRequestSchema } from '@millrace/contracts/inference';
import { LogBatchRequestSchema } from '@millrace/contracts/tracking';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRequest } from '../src/codec.ts';
import { weigh } from '../src/weight.ts';

const limit = 1024 * 1024;

/** A field with a value that is right for its wire type. */
function sent(number: number, wireType: WireType, writer = new BinaryWriter()): BinaryWriter {
  writer.tag(number, wireType);
  if (wireType === WireType.Varint) writer.uint32(1);
  if (wireType === WireType.Bit64) writer.double(1);
  if (wireType === WireType.LengthDelimited) writer.bytes(new Uint8Array(8));
  if (wireType === WireType.StartGroup) writer.tag(number, WireType.EndGroup);
  if (wireType === WireType.Bit32) writer.float(1);
  return writer;
}

const numberOf = (type: DescMessage, name: string) => type.fields.find((one) => one.name === name)!.number;
const names = ['VARINT', 'I64', 'LEN', 'SGROUP', 'EGROUP', 'I32'];

describe('a field has the wire type of its type', () => {
  it.each<[DescMessage, string, readonly string[]]>([
    [ColumnSchema, 'name', ['LEN']],
    [ColumnSchema, 'validity', ['LEN']],
    [ColumnSchema, 'type', ['VARINT']],
    [ColumnSchema, 'bools', ['VARINT', 'LEN']],
    [ColumnSchema, 'int64s', ['I64', 'LEN']],
    [ColumnSchema, 'strings', ['LEN']],
    [ModelInferRequestSchema, 'inputs', ['LEN']],
    [ModelInferRequestSchema, 'parameters', ['LEN']],
  ])('%s.%s', (type, name, allowed) => {
    for (const wireType of names.keys()) {
      const bytes = sent(numberOf(type, name), wireType).finish();
      if (allowed.includes(names[wireType]!)) {
        // Eight zeros are no message and no entry.
        if (type === ColumnSchema) expect(decodeRequest(type, bytes, limit)).toBeDefined();
        continue;
      }
      const message = `the field ${name} of ${type.typeName} has the wire type ${names[wireType]}; allowed: ${allowed.join(', ')}`;
      expect(() => decodeRequest(type, bytes, limit)).toThrow(
        expect.objectContaining({ kind: 'invalid_argument', code: 'UNDECODABLE', message }),
      );
    }
  });

  it('in an entry of a map too', () => {
    const entry = sent(2, WireType.Varint).finish();
    const bytes = sentBytes(numberOf(ModelInferRequestSchema, 'parameters'), entry);
    expect(() => decodeRequest(ModelInferRequestSchema, bytes, limit)).toThrow(
      'the field value of an entry of inference.ModelInferRequest.parameters has the wire type VARINT; allowed: LEN',
    );
  });
});

function sentBytes(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

describe('a value ends in its message', () => {
  const inputs = numberOf(ModelInferRequestSchema, 'inputs');
  it.each<[string, readonly number[]]>([
    ['a text that is longer', [0x0a, 3, 65]],
    ['a number that goes on', [0x1a, 1, 0x80]],
    ['fixed numbers that do not fill their list', [0x2a, 3, 0x32, 1, 0]],
    ['an unknown field that is longer', [0x7a, 9]],
    ['an unknown group that goes on', [0x7b, 8]],
  ])('%s', (_, inner) => {
    // What follows is inside for the one that reads, and outside for the one that weighs.
    const bytes = Uint8Array.from([
      ...sentBytes(inputs, Uint8Array.from(inner)),
      ...sentBytes(15, new Uint8Array(20)),
    ]);
    expect(() => decodeRequest(ModelInferRequestSchema, bytes, limit)).toThrow(/ is cut off; allowed: /);
  });
});

describe('fields that the contract does not know', () => {
  /** Of every wire type; groups hold known numbers of every wire type, and groups. */
  const unknown = fc.letrec<{ field: (writer: BinaryWriter, number: number) => void }>((tie) => ({
    field: fc.oneof(
      { depthSize: 'small' },
      fc
        .constantFrom(WireType.Varint, WireType.Bit64, WireType.LengthDelimited, WireType.Bit32)
        .map((wireType) => (writer: BinaryWriter, number: number) => void sent(number, wireType, writer)),
      fc.array(fc.tuple(tie('field'), fc.integer({ min: 1, max: 20 })), { maxLength: 5 }).map((inner) => {
        return (writer: BinaryWriter, number: number) => {
          writer.tag(number, WireType.StartGroup);
          for (const [write, innerNumber] of inner) write(writer, innerNumber);
          writer.tag(number, WireType.EndGroup);
        };
      }),
    ),
  })).field;

  it('are passed over and weigh nothing, whole groups too', () => {
    const message = create(LogBatchRequestSchema, { name: 'a', metrics: [{ key: 'loss' }, { key: 'rate' }] });
    const bytes = toBinary(LogBatchRequestSchema, message);
    const plain = weigh(LogBatchRequestSchema, bytes, limit);
    fc.assert(
      fc.property(fc.array(fc.tuple(unknown, fc.integer({ min: 1000, max: 2 ** 29 - 1 }))), (fields) => {
        const writer = new BinaryWriter();
        for (const [write, number] of fields) write(writer, number);
        const others = writer.finish();
        for (const mixed of [Buffer.concat([others, bytes]), Buffer.concat([bytes, others])]) {
          expect(decodeRequest(LogBatchRequestSchema, mixed, limit)).toEqual(message);
          expect(weigh(LogBatchRequestSchema, mixed, limit)).toBe(plain);
        }
      }),
    );
  });
});
