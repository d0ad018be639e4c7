import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { type Run, RunStatus, TrackingService } from '@millrace/contracts/tracking';
import { isCoded, type Kind } from '@millrace/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RunningTracking, startTracking } from './tracking.ts';

let service: RunningTracking;
let run: Run;
beforeAll(async () => {
  service = await startTracking();
});
// What is sent may end or delete the run: each test has its own.
beforeEach(async () => {
  run = (await service.tracking.createRun({ parent: 'projects/bad', run: {} })).run as Run;
});
afterAll(() => service.stop());

/** What a caller may be answered for wrong input. */
const callersFault: readonly Kind[] = [
  'invalid_argument',
  'not_found',
  'failed_precondition',
  'already_exists',
  'aborted',
  'out_of_range',
  'resource_exhausted',
];

const rpc = TrackingService.method;
type Call = (request: unknown, options?: { deadlineMs: number }) => Promise<unknown> | AsyncIterable<unknown>;

/** Calls any method, of streams at most the first message. */
async function call(method: keyof typeof rpc, request: unknown): Promise<void> {
  const invoke = (service.tracking as unknown as Record<string, Call>)[method] as Call;
  if (rpc[method].methodKind === 'client_streaming') {
    await invoke(
      (async function* () {
        yield request;
      })(),
    );
    return;
  }
  if (rpc[method].methodKind === 'unary') {
    await invoke(request);
    return;
  }
  for await (const _ of invoke(request, { deadlineMs: 200 }) as AsyncIterable<unknown>) return;
}

const texts = () =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(run.name, 'projects/bad', 'projects/bad/experiments/0') },
    fc.constantFrom(
      '',
      '*',
      'a.>',
      '../x',
      '\u0000',
      '\u0007',
      'x'.repeat(10_240),
      'projects/bad',
      'projects/A_b',
    ),
    fc.constantFrom(
      'projects/bad/experiments/0',
      'projects/bad/experiments/-1',
      'projects/bad/experiments/1e3',
    ),
    fc.constantFrom(
      'projects/bad/runs/1',
      `projects/bad/runs/${'f'.repeat(32)}`,
      'projects/bad/runs/%2e%2e',
      'name[$ne]=1',
    ),
    fc.constantFrom(
      run.name,
      'metrics.x > 1; DROP',
      '('.repeat(8000),
      '{"$where":"1"}',
      '__proto__',
      "status = 'x'",
    ),
    fc.constantFrom('sha256:zz', `sha256:${'0'.repeat(64)}`, 'W10', 'WyJhYiIsbnVsbF0', '99', '-1'),
    fc.string({ maxLength: 20 }),
  );
const int64s = fc.constantFrom(0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n));
const int32s = fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31));
const doubles = fc.constantFrom(0, Number.NaN, Infinity, -Infinity, 1e308, -0);

/** Any message of a type, with hostile values in its fields. */
function messages(type: DescMessage, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fields) if (!field.oneof) parts[field.localName] = values(field, depth);
  for (const oneof of type.oneofs)
    parts[oneof.localName] = fc.oneof(
      ...oneof.fields.map((field) => values(field, depth).map((value) => ({ case: field.localName, value }))),
      fc.constant({ case: undefined }),
    );
  return fc.record(parts, { requiredKeys: [] }) as fc.Arbitrary<Record<string, unknown>>;
}

function values(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.fieldKind === 'list') return fc.array(one(field, depth), { maxLength: 3 });
  return one(field, depth);
}

function one(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message) return depth > 4 ? fc.constant({}) : messages(field.message, depth + 1);
  if (field.enum) return fc.constantFrom(0, 1, 2, 3, 99, -1);
  switch (field.scalar) {
    case ScalarType.STRING:
      return texts();
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 9 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return doubles;
    case ScalarType.INT64:
      return int64s;
    default:
      return int32s;
  }
}

describe('whatever is sent, the service never answers that it is at fault', () => {
  test.each(Object.keys(rpc) as (keyof typeof rpc)[])('%s', async (method) => {
    await fc.assert(
      fc.asyncProperty(messages(rpc[method].input), async (request) => {
        try {
          await call(method, request);
        } catch (error) {
          // A watch that was asked for rightly waits for what never happens.
          if (method.startsWith('watch') && isCoded(error, 'deadline_exceeded')) return;
          if (!isCoded(error) || !callersFault.includes(error.kind)) throw error;
        }
      }),
      { numRuns: 80 },
    );
  });

  test('and it goes on answering', async () => {
    expect(
      (await service.tracking.getExperiment({ name: 'projects/bad/experiments/0' })).experiment,
    ).toBeDefined();
  });
});

describe('the field at fault is named', () => {
  const metric = (init: object) =>
    ['logBatch', () => ({ name: run.name, metrics: [{ key: 'a', value: 1, ...init }] })] as const;
  test.each<readonly [string, keyof typeof rpc, () => object]>([
    ['parent', 'createRun', () => ({ parent: 'projects/UPPER', run: {} })],
    ['parent', 'createExperiment', () => ({ parent: 'projects/a.>', experiment: { displayName: 'x' } })],
    ['experiment.display_name', 'createExperiment', () => ({ parent: 'projects/bad', experiment: {} })],
    [
      'experiment.display_name',
      'createExperiment',
      () => ({ parent: 'projects/bad', experiment: { displayName: 'a\nb' } }),
    ],
    [
      'experiment.tags[0].key',
      'createExperiment',
      () => ({ parent: 'projects/bad', experiment: { displayName: 'x', tags: [{ value: 'v' }] } }),
    ],
    ['name', 'getExperiment', () => ({ name: 'projects/bad/experiments/zero' })],
    ['name', 'getRun', () => ({ name: 'projects/bad/runs/42' })],
    [
      'run.experiment',
      'createRun',
      () => ({ parent: 'projects/bad', run: { experiment: 'projects/other/experiments/0' } }),
    ],
    ['run.status', 'createRun', () => ({ parent: 'projects/bad', run: { status: RunStatus.FINISHED } })],
    ['update_mask', 'updateRun', () => ({ run: { name: run.name }, updateMask: { paths: ['params'] } })],
    [
      'update_mask',
      'updateExperiment',
      () => ({ experiment: { name: 'projects/bad/experiments/0' }, updateMask: { paths: [] } }),
    ],
    [
      'run.etag',
      'updateRun',
      () => ({
        run: { name: run.name, etag: 'x', displayName: 'n' },
        updateMask: { paths: ['display_name'] },
      }),
    ],
    ['run.status', 'updateRun', () => ({ run: { name: run.name }, updateMask: { paths: ['status'] } })],
    ['status', 'finishRun', () => ({ name: run.name, status: RunStatus.SCHEDULED })],
    ['end_time', 'finishRun', () => ({ name: run.name, endTime: { seconds: 5n } })],
    ['end_time', 'finishRun', () => ({ name: run.name, endTime: { seconds: 2n ** 62n } })],
    ['filter', 'searchRuns', () => ({ parent: 'projects/bad', filter: 'metrics.x > 1; DROP' })],
    ['filter', 'searchRuns', () => ({ parent: 'projects/bad', filter: '('.repeat(100_000) })],
    ['order_by', 'searchRuns', () => ({ parent: 'projects/bad', orderBy: 'metrics.x SIDEWAYS' })],
    [
      'experiments[0]',
      'searchRuns',
      () => ({ parent: 'projects/bad', experiments: ['projects/other/experiments/0'] }),
    ],
    ['page_token', 'searchRuns', () => ({ parent: 'projects/bad', pageToken: 'nonsense' })],
    ['page_token', 'listExperiments', () => ({ parent: 'projects/bad', pageToken: 'nonsense' })],
    ['page_token', 'getMetricHistory', () => ({ name: run.name, key: 'a', pageToken: 'nonsense' })],
    ['page_token', 'listArtifacts', () => ({ parent: run.name, pageToken: 'nonsense' })],
    ['page_size', 'listInputs', () => ({ parent: run.name, pageSize: -1 })],
    ['max_points', 'getMetricHistory', () => ({ name: run.name, key: 'a', maxPoints: 10_001 })],
    ['metrics[0].key', ...metric({ key: '' })],
    ['metrics[0].key', ...metric({ key: 'k'.repeat(10_240) })],
    ['metrics[0].timestamp_ms', ...metric({ timestampMs: 2n ** 63n - 1n })],
    ['metrics[0].timestamp_ms', ...metric({ timestampMs: -1n })],
    ['metrics', 'logBatch', () => ({ name: run.name, metrics: Array(1001).fill({ key: 'a', value: 1 }) })],
    [
      'params[1].value',
      'logBatch',
      () => ({ name: run.name, params: [{ key: 'a' }, { key: 'b', value: 'x'.repeat(8193) }] }),
    ],
    ['removed_tags[0]', 'logBatch', () => ({ name: run.name, removedTags: ['\u0001'] })],
    ['request_id', 'logBatch', () => ({ name: run.name, requestId: 'a b' })],
    ['inputs', 'logInputs', () => ({ name: run.name })],
    [
      'inputs[0].dataset.digest',
      'logInputs',
      () => ({ name: run.name, inputs: [{ dataset: { name: 'n' } }] }),
    ],
    ['folder', 'listArtifacts', () => ({ parent: run.name, folder: '../..' })],
    ['path', 'downloadArtifact', () => ({ parent: run.name, path: '/etc/passwd' })],
    ['offset', 'downloadArtifact', () => ({ parent: run.name, path: 'a', offset: -1n })],
  ])('%s of %s', async (field, method, request) => {
    const refused = await call(method, request()).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ kind: 'invalid_argument' });
    expect((refused as { violations: { field: string }[] }).violations.map((v) => v.field)).toContain(field);
  });
});

test('every number that a metric may have is kept as it is', async () => {
  const { tracking } = service;
  const { name } = (await tracking.createRun({ parent: 'projects/bad', run: {} })).run as Run;
  const values = [Number.NaN, Infinity, -Infinity, -0, Number.MAX_VALUE, 5e-324];
  const steps = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 1n, 2n];
  const metrics = values.map((value, i) => ({ key: 'edge', value, step: steps[i] ?? 0n }));
  await tracking.logBatch({ name, metrics });
  const { points } = await tracking.getMetricHistory({ name, key: 'edge' });
  expect(points.map((p) => p.value)).toEqual(values);
  expect(points.map((p) => p.step)).toEqual(steps);
  expect((await tracking.getRun({ name })).run?.metrics).toMatchObject([
    { step: 2n ** 63n - 1n, value: -Infinity },
  ]);
});
