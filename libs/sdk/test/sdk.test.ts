import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ColumnBatchSchema } from '@millrace/contracts/common';
import { GRPCInferenceService, type ModelInferRequest } from '@millrace/contracts/inference';
import { createServer, type Handlers, implement } from '@millrace/rpc';
import {
  columnOf,
  connect,
  currentStep,
  currentTask,
  endpointsFile,
  findEndpoints,
  hasValue,
  infer,
  numbersOf,
  stringsOf,
  toBatch,
} from '@millrace/sdk';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test('columns come back as they went, with gaps', () => {
  const rows = fc.array(
    fc.record({
      double: fc.option(fc.double(), { nil: null }),
      int64: fc.option(fc.maxSafeInteger(), { nil: null }),
      bool: fc.option(fc.boolean(), { nil: null }),
      string: fc.option(fc.string({ unit: 'grapheme' }), { nil: null }),
      timestamp: fc.option(fc.integer({ min: -1e12, max: 4e12 }), { nil: null }),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(rows, (list) => {
      const types = ['double', 'int64', 'bool', 'string', 'timestamp'] as const;
      const columns = types.map((type) => [type, { type, values: list.map((row) => row[type]) }]);
      const made = toBatch(Object.fromEntries(columns));
      const batch = fromBinary(ColumnBatchSchema, toBinary(ColumnBatchSchema, made));
      expect(batch.rowCount).toBe(list.length);
      for (const type of types) {
        const column = columnOf(batch, type);
        expect(list.map((_, i) => hasValue(column, i))).toEqual(list.map((row) => row[type] !== null));
        if (type === 'string') expect(stringsOf(column)).toEqual(list.map((row) => row.string));
        else
          expect([...numbersOf(column)]).toEqual(
            list.map((row) => (row[type] === null ? Number.NaN : Number(row[type]))),
          );
      }
    }),
  );
});

test('columns of different lengths are refused, and asking for one that is not there names those that are', () => {
  const x = { type: 'double', values: [1] } as const;
  expect(() => toBatch({ x, y: { type: 'double', values: [1, 2] } })).toThrow(/y: has 2 values/);
  expect(() => columnOf(toBatch({ x }), 'z')).toThrow(/allowed: x/);
});

test('a suite is found by the environment, else by its file, else the way out is told', async () => {
  await using folder = tempDir('millrace-sdk-');
  const env = { MILLRACE_DATA_DIR: folder.path };
  expect(() => findEndpoints(env)).toThrow(/a running suite \(npm start\)/);
  const kept = { services: { tracking: '127.0.0.1:1' }, natsUrl: 'nats://127.0.0.1:2' };
  writeFileSync(join(folder.path, endpointsFile), JSON.stringify(kept));
  expect(findEndpoints(env)).toEqual(kept);
  const set = {
    ...env,
    MILLRACE_FEATURES_ADDRESS: 'h:3',
    MILLRACE_NATS_URL: 'nats://h:4',
    MILLRACE_AUTH_TOKEN: 't',
  };
  expect(findEndpoints(set)).toEqual({ services: { features: 'h:3' }, natsUrl: 'nats://h:4', token: 't' });
});

test('a service whose address is not known says which setting to set', async () => {
  const millrace = connect({ endpoints: { services: {} } });
  const call = async () => millrace.monitoring.getReport({ name: '' });
  await expect(call()).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('MILLRACE_MONITORING_ADDRESS'),
  });
  millrace.close();
});

test('a step knows its task, its inputs and its outputs', async () => {
  await using folder = tempDir('millrace-step-');
  const env = {
    MILLRACE_PROJECT: 'default',
    MILLRACE_RUN: 'r1',
    MILLRACE_TASK: 'train',
    MILLRACE_IDEMPOTENCY_KEY: 'k',
    MILLRACE_INPUTS: folder.path,
    MILLRACE_OUTPUTS: folder.path,
  };
  const step = currentStep(env);
  expect(step).toMatchObject({ run: 'projects/default/pipelineRuns/r1', task: 'train', idempotencyKey: 'k' });
  expect(currentTask(env)).toBe('projects/default/pipelineRuns/r1/tasks/train');
  expect(step.keyFor('a')).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set([step.keyFor('a'), currentStep(env).keyFor('a'), step.keyFor('b')]).size).toBe(2);
  await step.writeJson('deep/answer', { x: 1 });
  expect((await step.readInput('deep/answer')).toString()).toBe('{"x":1}');
  expect(await readFile(step.input('deep/answer'), 'utf8')).toBe('{"x":1}');
  expect(currentTask({})).toBeUndefined();
  expect(() => currentStep({})).toThrow(/MILLRACE_IDEMPOTENCY_KEY: is not set/);
});

test('tensors go raw and come back raw', async () => {
  let seen: ModelInferRequest | undefined;
  const others = GRPCInferenceService.methods.map((method) => [
    method.localName,
    () => Promise.reject(new Error()),
  ]);
  const modelInfer: Handlers<typeof GRPCInferenceService>['modelInfer'] = async (request) => {
    seen = request;
    return {
      id: request.id,
      modelVersion: '7',
      outputs: [
        { name: 'word', datatype: 'BYTES', shape: [1n] },
        { name: 'probability', datatype: 'FP32', shape: [2n, 1n] },
      ],
      rawOutputContents: [new Uint8Array([0, 0, 0, 0]), new Uint8Array(Float32Array.of(0.25, 0.5).buffer)],
    };
  };
  const handlers = { ...Object.fromEntries(others), modelInfer } as Handlers<typeof GRPCInferenceService>;
  const permissions = Object.fromEntries(
    GRPCInferenceService.methods.map((m) => [`${GRPCInferenceService.typeName}/${m.name}`, 'test']),
  );
  const server = await createServer({
    implementations: [implement(GRPCInferenceService, handlers)],
    permissions,
  });
  const millrace = connect({ endpoints: { services: { serving: server.address } } });
  const answer = await infer(
    millrace,
    'late',
    [
      { name: 'x', type: 'FP32', values: [1, 2, 3, 4], columns: 2 },
      { name: 'n', type: 'INT64', values: [-1n, 2n ** 62n] },
      { name: 'w', type: 'BYTES', values: ['é', ''] },
    ],
    { id: 'r1', version: '3' },
  );
  expect(answer).toMatchObject({ id: 'r1', modelVersion: '7' });
  expect([...answer.floats('probability')]).toEqual([0.25, 0.5]);
  expect(() => answer.floats('none')).toThrow(/allowed: word, probability/);
  expect(() => answer.floats('word')).toThrow(/not raw FP32/);
  expect(seen).toMatchObject({ modelName: 'late', modelVersion: '3' });
  expect(seen?.inputs.map((input) => input.shape)).toEqual([[2n, 2n], [2n], [2n]]);
  const [x, n, w] = seen?.rawInputContents.map((raw) => Buffer.from(raw)) ?? [];
  expect([0, 4, 8, 12].map((at) => x?.readFloatLE(at))).toEqual([1, 2, 3, 4]);
  expect([n?.readBigInt64LE(0), n?.readBigInt64LE(8)]).toEqual([-1n, 2n ** 62n]);
  expect(w).toEqual(Buffer.from([2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0]));
  millrace.close();
  await server.stop();
});
