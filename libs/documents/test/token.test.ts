import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatToken, parseToken } from '../src/query/token.ts';

const refused = expect.objectContaining({ kind: 'invalid_argument', code: 'INVALID_FIELD' });
const positions = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 4 });

it('a token gives back its position to its query, and to no other', () => {
  fc.assert(
    fc.property(positions, fc.string(), fc.string(), (position, shape, other) => {
      const wellFormed = position.map((key) => key.toWellFormed());
      const token = formatToken(shape, wellFormed);
      expect(parseToken(shape, token, position.length)).toEqual(wellFormed);
      expect(() => parseToken(shape, token, position.length + 1)).toThrow(refused);
      if (other !== shape) expect(() => parseToken(other, token, position.length)).toThrow(refused);
    }),
  );
});

it('a token with any change is refused', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \0é';
  const change = fc.tuple(
    fc.nat(),
    fc.constantFrom(...alphabet),
    fc.constantFrom('replace', 'insert', 'cut'),
  );
  fc.assert(
    fc.property(positions, change, (position, [where, letter, how]) => {
      const token = formatToken(
        'shape',
        position.map((key) => key.toWellFormed()),
      );
      const at = where % token.length;
      const after = { replace: letter + token.slice(at + 1), insert: letter + token.slice(at), cut: '' }[how];
      const changed = token.slice(0, at) + after;
      if (changed !== token) expect(() => parseToken('shape', changed, position.length)).toThrow(refused);
    }),
    { numRuns: 500 },
  );
});

it('a token that was made by somebody who knows how is a position of texts, or refused', () => {
  const forge = (payload: string) => {
    const digest = createHash('sha256')
      .update('shape')
      .update('\0')
      .update(payload)
      .digest('hex')
      .slice(0, 16);
    return Buffer.from(digest + payload).toString('base64url');
  };
  expect(parseToken('shape', forge('["a","b"]'), 2)).toEqual(['a', 'b']);
  const payloads = [
    '',
    '[',
    'null',
    '{}',
    '{"length":2}',
    '["a",1]',
    '["a",null]',
    '["a",{"$gt":""}]',
    '[["a"],"b"]',
    '["a","\\ud800"]',
    '["a","b","c"]',
    `${'['.repeat(5_000)}`,
  ];
  for (const payload of payloads)
    expect(() => parseToken('shape', forge(payload), 2), payload).toThrow(refused);
  fc.assert(
    fc.property(fc.json(), (payload) => {
      try {
        expect(parseToken('shape', forge(payload), 2).every((key) => typeof key === 'string')).toBe(true);
      } catch (error) {
        expect(error).toEqual(refused);
      }
    }),
  );
});
