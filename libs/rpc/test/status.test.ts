import { CodedError, type Kind, kinds } from '@millrace/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromWire, toWire } from '../src/index.ts';

const kind = fc.constantFrom(...(Object.keys(kinds) as Kind[]));
const code = fc.stringMatching(/^[A-Z][A-Z_]{2,20}$/);
const anyText = fc.string({ unit: 'binary' });

function travel(error: CodedError): CodedError {
  const { code, message, details } = toWire(error);
  return fromWire(code, message, details);
}

describe('an error', () => {
  it('arrives as it was sent, without its cause', () => {
    const short = fc.string({ unit: 'grapheme', maxLength: 40 });
    const error = fc.record({
      kind,
      code,
      message: short,
      violations: fc.array(fc.record({ field: short, description: short }), { maxLength: 5 }),
      details: fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), short, { maxKeys: 4 }),
      retryAfterMs: fc.option(fc.nat(100_000), { nil: undefined }),
    });
    fc.assert(
      fc.property(error, ({ kind, code, message, violations, details, retryAfterMs }) => {
        const cause = new Error('secret');
        const options = { violations, details: { ...details }, cause };
        const sent = new CodedError(
          kind,
          code,
          message,
          retryAfterMs === undefined ? options : { ...options, retryAfterMs },
        );
        const got = travel(sent);
        expect(got).toMatchObject({ kind, code, message, violations, retryAfterMs });
        expect({ ...got.details }).toEqual({ ...details });
        expect(got.cause).toBeUndefined();
      }),
    );
  });

  it('always fits into trailers, whatever it says', () => {
    const huge = fc.oneof(
      anyText,
      fc.constantFrom('x'.repeat(20_000), '☃'.repeat(9000), '\ud800'.repeat(50), '\n'.repeat(4000)),
    );
    const violations = fc.array(fc.record({ field: huge, description: huge }), { maxLength: 30 });
    const details = fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), huge, { maxKeys: 5 });
    fc.assert(
      fc.property(kind, code, huge, violations, details, (kind, code, message, violations, details) => {
        const wire = toWire(new CodedError(kind, code, message, { violations, details }));
        const trailer = encodeURI(wire.message).length + (wire.details.length * 4) / 3;
        expect(trailer).toBeLessThan(8000);
        expect(fromWire(wire.code, wire.message, wire.details)).toMatchObject({ kind, code });
      }),
    );
  });

  it('keeps its first violations where not all fit', () => {
    const violations = Array.from({ length: 60 }, (_, i) => ({
      field: `f${i}`,
      description: 'x'.repeat(250),
    }));
    const got = travel(new CodedError('invalid_argument', 'INVALID_FIELD', 'm', { violations }));
    expect(got.violations.length).toBeGreaterThan(10);
    expect(got.violations[0]).toEqual(violations[0]);
  });

  it('of another implementation gets a code from its status', () => {
    const plain = (status: number, message = '') => fromWire(status, message, undefined).code;
    expect(plain(5)).toBe('NOT_FOUND');
    expect(plain(14)).toBe('UNAVAILABLE');
    expect(plain(13)).toBe('INTERNAL');
    expect(plain(3)).toBe('INVALID_ARGUMENT');
    expect(plain(8)).toBe('OVERLOADED');
    expect(plain(8, 'Received message larger than max (5 vs. 4)')).toBe('TOO_LARGE');
    expect(fromWire(99, 'x', Buffer.from([0xff])).kind).toBe('unknown');
  });
});
