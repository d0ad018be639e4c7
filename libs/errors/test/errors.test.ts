import { expect, test } from 'vitest';
import {
  CodedError,
  codes,
  from,
  invalidField,
  isCoded,
  kindOfGrpc,
  kindOfHttp,
  kinds,
} from '../src/index.ts';

test('the table covers every gRPC status but OK, each once', () => {
  const statuses = Object.values(kinds).map((row) => row.grpc);
  expect(statuses.sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  for (const [kind, row] of Object.entries(kinds)) expect(kindOfGrpc(row.grpc)).toBe(kind);
});

test('every code of the catalogue names a kind of the table', () => {
  for (const [code, row] of Object.entries(codes)) {
    expect(code).toMatch(/^[A-Z][A-Z_]*$/);
    expect(kinds[row.kind]).toBeDefined();
  }
});

test('HTTP statuses map to the kind a client can act on', () => {
  expect([404, 409, 503, 502, 418, 599].map(kindOfHttp)).toEqual([
    'not_found',
    'already_exists',
    'unavailable',
    'unavailable',
    'invalid_argument',
    'unknown',
  ]);
});

test('a coded error passes the funnel unchanged', () => {
  const error = invalidField('name', 'is empty', '1 to 256 characters');
  expect(from(error)).toBe(error);
  expect(error.violations).toEqual([
    { field: 'name', description: 'is empty; allowed: 1 to 256 characters' },
  ]);
});

test('what anything else tells stays inside', () => {
  const cause = new Error('password=hunter2 at /srv/x.ts:3');
  const error = from(cause);
  expect(error.kind).toBe('internal');
  expect(error.message).not.toContain('hunter2');
  expect(error.cause).toBe(cause);
  for (const odd of [undefined, null, 'text', 7, { message: 'x' }]) expect(from(odd).kind).toBe('internal');
});

test('full disks, lost connections, aborts and time-outs keep their meaning', () => {
  const system = (code: string) => from(Object.assign(new Error('x'), { code })).kind;
  expect([system('ENOSPC'), system('ECONNREFUSED')]).toEqual(['resource_exhausted', 'unavailable']);
  expect(from(AbortSignal.abort().reason).kind).toBe('cancelled');
  expect(from(new DOMException('late', 'TimeoutError')).kind).toBe('deadline_exceeded');
});

test('isCoded asks by kind or by code', () => {
  const error = new CodedError('aborted', 'VERSION_CONFLICT', 'x');
  expect([
    isCoded(error),
    isCoded(error, 'aborted'),
    isCoded(error, 'VERSION_CONFLICT'),
    isCoded(error, 'internal'),
  ]).toEqual([true, true, true, false]);
  expect(isCoded(new Error('x'))).toBe(false);
});
