import { isCoded } from '@millrace/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isProject, names } from '../src/index.ts';

const nameable = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((s) => s.length <= 256 && !/\p{Cc}/u.test(s));

test('whatever a user calls a model, its name comes apart into what it was put together from', () => {
  fc.assert(
    fc.property(nameable, fc.nat({ max: 99999 }), (model, version) => {
      const name = names.modelVersion.format({ project: 'default', model, version: String(version) });
      expect(names.modelVersion.parse(name)).toEqual({ project: 'default', model, version: String(version) });
      expect(name.split('/')).toHaveLength(6);
      expect(name.split('/')).not.toContain('..');
    }),
  );
});

test.each([
  '',
  'runs/x',
  'projects/default/runs',
  'projects/default/runs/',
  'projects/Default/runs/x',
  'projects/-a/runs/x',
  'projects/default/runs/a/b',
  '/projects/default/runs/x',
  'projects/default/runs/%',
  'projects/default/runs/%00',
  `projects/${'a'.repeat(64)}/runs/x`,
  `projects/default/runs/${'x'.repeat(300)}`,
  'projects/a.b/runs/x',
  'projects/*/runs/x',
])('%j is no run', (text) => {
  const refusal = (() => {
    try {
      return names.run.parse(text, 'run.name');
    } catch (error) {
      return error;
    }
  })();
  expect(isCoded(refusal, 'INVALID_FIELD') && refusal.violations[0]?.field).toBe('run.name');
});

test('a project is a lower-case label of at most 63 characters', () => {
  expect(['default', 'a', 'a-b', '0', 'a'.repeat(63)].every(isProject)).toBe(true);
  expect(['', 'A', 'a_b', '-a', 'a-', 'a.b', 'a b', 'a>', '*', 'a'.repeat(64)].some(isProject)).toBe(false);
});
