import { type DescService, getOption } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import * as common from '../src/common.ts';
import * as features from '../src/features.ts';
import * as monitoring from '../src/monitoring.ts';
import * as pipelines from '../src/pipelines.ts';
import * as registry from '../src/registry.ts';
import * as serving from '../src/serving.ts';
import * as tracking from '../src/tracking.ts';

const methods = [common, features, monitoring, pipelines, registry, serving, tracking]
  .flatMap((context) => Object.values<unknown>(context))
  .filter((of): of is DescService => (of as DescService | undefined)?.kind === 'service')
  .flatMap((service) => service.methods);
const reading = /^(Get|List|Search|Watch|Download|Read)[A-Z]/;
/** Doing these again changes nothing: events keep their ids, bytes are kept under their digest, damage is found once. */
const withoutKey = ['ReplayEvents', 'UploadSource', 'VerifyStorage'];

test('whatever reads says that it changes nothing, so that clients may call it again', () => {
  expect(methods.length).toBeGreaterThan(100);
  const silent = MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  expect(methods.filter((m) => reading.test(m.name) !== (m.idempotency === silent))).toEqual([]);
});

test('whatever changes something takes the key of its caller', () => {
  const keyless = methods
    .filter((m) => !reading.test(m.name))
    .filter(
      (m) =>
        ![m.input, ...m.input.fields.map((f) => f.message)].some((of) =>
          of?.fields.some((f) => f.name === 'request_id'),
        ),
    )
    .map((m) => m.name);
  expect(keyless.sort()).toEqual(withoutKey);
});

test('pages and etags have the same limits in every context', () => {
  const limitsOf = (name: string) =>
    methods.flatMap(({ input }) =>
      input.fields.filter((f) => f.name === name).map((f) => getOption(f, common.rules)),
    );
  const [pages, etags] = [limitsOf('page_size'), limitsOf('etag')];
  expect(pages.filter(({ gte, lte }) => gte !== 0 || lte !== undefined)).toEqual([]);
  expect(etags.filter(({ maxLen }) => maxLen !== 32)).toEqual([]);
  expect(Math.min(pages.length, etags.length)).toBeGreaterThan(0);
});
