import { type DescField, type DescMessage, type DescMethod, ScalarType } from '@bufbuild/protobuf';
import { LineageService, RegistryService } from '@millrace/contracts/registry';
import { CodedError } from '@millrace/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelWithVersions, type RunningRegistry, startRegistry } from './running.ts';

let registry: RunningRegistry;
beforeAll(async () => {
  registry = await startRegistry();
  const parent = await modelWithVersions(registry, 'm', 1);
  await registry.models.setAlias({ name: `${parent}/aliases/champion`, version: 1 });
}, 30_000);
afterAll(() => registry.stop());

const m = 'projects/default/models/m';

/** Texts that names, paths, tokens and expressions are made of, right and wrong. */
const texts = fc.oneof(
  fc.constantFrom(
    ...['', m, 'projects/default', 'default', 'champion', 'auc', `${m}/versions/1`, `${m}/versions/champion`],
    ...[`${m}/versions/0`, `${m}/versions/99999999999999999999`, `${m}/versions/-1`, `${m}/versions/1.5`],
    ...[`${m}/aliases/champion`, `${m}/aliases/Champion`, `${m}/gates/g`, `${m}/decisions/d`, 'm', '1', '0'],
    ...[
      'projects/a.>/models/m',
      'projects/*/models/m',
      'projects/default/models/%',
      'projects/default/models/..',
    ],
    ...[
      '../../etc/passwd',
      'file:///etc/passwd',
      '%2e%2e%2f',
      '\u0000',
      '\ud800',
      'a\nb',
      '__proto__',
      '$where',
      "'; DROP TABLE versions;--",
    ],
    ...[
      'description',
      'tags',
      'etag',
      'candidate.metrics.auc > 0.5',
      '1/0 > 1',
      '(((((',
      'eyJhIjoxfQ',
      'sha256:',
      `sha256:${'0'.repeat(64)}`,
    ],
    ...[
      'x'.repeat(257),
      'x'.repeat(70_000),
      'projects/default/runs/1',
      'projects/other/runs/1',
      `${'é'.repeat(256)}`,
      '飛'.repeat(256),
    ],
  ),
  fc.string({ maxLength: 20 }),
);

const integers = fc.constantFrom(0, 1, -1, 2, 1000, 1001, 2 ** 31 - 1, -(2 ** 31));
const longs = fc.constantFrom(0n, 1n, -1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n));
const doubles = fc.constantFrom(0, -0, 0.5, Number.NaN, Infinity, -Infinity, 1e308, 5e-324);

/** Any message of a type: fields left out, or filled with what fits the wire and often nothing else. */
function message(schema: DescMessage, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of schema.fields) if (!field.oneof) fields[field.localName] = value(field, depth);
  for (const oneof of schema.oneofs)
    fields[oneof.localName] = fc.oneof(
      ...oneof.fields.map((field) =>
        value(field, depth).map((given) => ({ case: field.localName, value: given })),
      ),
    );
  return fc.record(fields, { requiredKeys: [] });
}

function value(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const one =
    field.message !== undefined
      ? depth > 3
        ? fc.constant({})
        : message(field.message, depth + 1)
      : field.enum !== undefined
        ? fc.constantFrom(0, 1, 2, 99, -1)
        : scalar(field.scalar);
  return field.fieldKind === 'list' ? fc.array(one, { maxLength: 3 }) : one;
}

function scalar(type: ScalarType | undefined): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return texts;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 40 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return doubles;
    case ScalarType.INT64:
    case ScalarType.SFIXED64:
      return longs;
    default:
      return integers;
  }
}

/** What a caller may be told of its own mistakes. */
const answers = [
  'invalid_argument',
  'not_found',
  'already_exists',
  'failed_precondition',
  'aborted',
  'resource_exhausted',
];

async function call(method: DescMethod, request: Record<string, unknown>): Promise<void> {
  const client = (method.parent.typeName === LineageService.typeName
    ? registry.lineage
    : registry.models) as unknown as Record<string, (request: unknown, options?: object) => unknown>;
  const invoke = client[method.localName]!;
  if (method.methodKind === 'unary') await invoke(request);
  else if (method.methodKind === 'client_streaming')
    await invoke(
      (async function* () {
        yield request;
        yield { payload: { case: 'chunk', value: new Uint8Array(3) } };
      })(),
    );
  else for await (const _ of invoke(request, { deadlineMs: 300 }) as AsyncIterable<unknown>) break;
}

const methods: DescMethod[] = [...RegistryService.methods, ...LineageService.methods];

describe('bad input is the caller’s mistake, never INTERNAL', () => {
  it.each(methods.map((method) => [method.name, method] as const))(
    '%s',
    { timeout: 60_000 },
    async (_name, method) => {
      await fc.assert(
        fc.asyncProperty(message(method.input), async (request) => {
          try {
            await call(method, request);
          } catch (caught) {
            if (!(caught instanceof CodedError)) throw caught;
            // A watch of what does not change ends with its deadline.
            if (caught.kind === 'deadline_exceeded' && method.methodKind === 'server_streaming') return;
            expect(answers, `${caught.kind}: ${caught.message}`).toContain(caught.kind);
            if (caught.kind === 'invalid_argument') expect(caught.violations.length).toBeGreaterThan(0);
          }
        }),
        { numRuns: 80 },
      );
    },
  );

  it.each<[string, () => Promise<unknown>, string]>([
    [
      'a project that would be a subject',
      () => registry.models.createModel({ parent: 'projects/a.>', modelId: 'm' }),
      'parent',
    ],
    [
      'a name with control characters',
      () => registry.models.createModel({ parent: 'projects/default', modelId: 'a\u0007' }),
      'model_id',
    ],
    [
      'a name too long once encoded',
      () => registry.models.createModel({ parent: 'projects/default', modelId: '飛'.repeat(256) }),
      'model_id',
    ],
    [
      'an unknown field to change',
      () => registry.models.updateModel({ model: { name: m }, updateMask: { paths: ['name'] } }),
      'update_mask.paths[0]',
    ],
    [
      'an etag that is none',
      () => registry.models.updateModel({ model: { name: m, etag: 'x' } }),
      'model.etag',
    ],
    [
      'a foreign page token',
      () => registry.models.listModels({ parent: 'projects/default', pageToken: 'abc' }),
      'page_token',
    ],
    [
      'a run that is a file',
      () =>
        registry.models.createModelVersion({
          parent: m,
          digest: `sha256:${'0'.repeat(64)}`,
          modelVersion: { sourceRun: 'file:///etc' },
        }),
      'model_version.source_run',
    ],
    [
      'a metric given twice',
      () =>
        registry.models.recordEvaluation({
          parent: `${m}/versions/1`,
          evaluation: {
            dataset: 'd',
            metrics: [
              { name: 'a', value: 1 },
              { name: 'a', value: 2 },
            ],
          },
        }),
      'evaluation.metrics[1].name',
    ],
    [
      'an alias in capitals',
      () => registry.models.setAlias({ name: `${m}/aliases/Champion`, version: 1 }),
      'name',
    ],
    ['lineage of what has none', () => registry.lineage.getLineage({ resource: '/etc/passwd' }), 'resource'],
  ])('%s is refused by field', async (_what, run, field) => {
    await expect(run()).rejects.toMatchObject({ kind: 'invalid_argument', violations: [{ field }] });
  });
});
