import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHeaderValue, decodeMessage, draft, encodeHeaders, encodeHeaderValue } from '../src/index.ts';
import { aliasMoved } from './fixtures.ts';

test('the vector of the binding', () => {
  expect(encodeHeaderValue('Euro € 😀')).toBe('Euro%20%E2%82%AC%20%F0%9F%98%80');
  expect(decodeHeaderValue('Euro%20%E2%82%AC%20%F0%9F%98%80')).toBe('Euro € 😀');
});

test('lower case, needless escapes and quotes are accepted, exactly one round is decoded', () => {
  expect(decodeHeaderValue('%e2%82%ac')).toBe('€');
  expect(decodeHeaderValue('%41B')).toBe('AB');
  expect(decodeHeaderValue('"a b\\"c"')).toBe('a b"c');
  expect(decodeHeaderValue('%2541')).toBe('%41');
});

test('bytes that are not UTF-8 are refused', () => {
  expect(() => decodeHeaderValue('%C0%A0')).toThrow(URIError);
});

test('any text survives as a header, in printable characters without space, quote or bare percent', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const encoded = encodeHeaderValue(text);
      expect(encoded).toMatch(/^([\x21\x23\x24\x26-\x7e]|%[0-9A-F]{2})*$/);
      expect(decodeHeaderValue(encoded)).toBe(text.toWellFormed());
    }),
  );
});

test('an event survives its headers', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 256 });
  const project = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const timeMs = fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) });
  fc.assert(
    fc.property(text, text, project, timeMs, fc.nat(), (id, resource, name, time, sequence) => {
      const event = { id, type: aliasMoved.type, project: name, resource, timeMs: time, sequence };
      const data = new Uint8Array([1]);
      const envelope = decodeMessage(encodeHeaders(event), data);
      expect(envelope).toEqual({ ...event, contentType: 'application/protobuf', data });
    }),
  );
});

test('a draft carries its message; one too large for a message of NATS is refused', () => {
  const input = { project: 'default', resource: 'r', timeMs: 5 };
  const made = draft(aliasMoved, { ...input, data: { version: 3 } });
  expect(made).toMatchObject({ ...input, type: 'millrace.registry.alias.moved.v1' });
  expect(made.id).toMatch(/^[0-9a-f]{32}$/);
  expect(made.data).toEqual(toBinary(aliasMoved.schema, create(aliasMoved.schema, { version: 3 })));
  const big = { ...input, data: { name: 'x'.repeat(1_000_001) } };
  expect(() => draft(aliasMoved, big)).toThrow(expect.objectContaining({ code: 'EVENT_TOO_LARGE' }));
});
