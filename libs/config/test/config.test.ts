import { isCoded } from '@millrace/errors';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineSettings, loadSettings, printConfig, setting } from '../src/index.ts';

const rows = defineSettings({
  PORT: setting({
    schema: z.coerce.number().int().min(0).max(65535),
    default: '0',
    meaning: 'Port; 0 takes a free one.',
  }),
  NATS_URL: setting({ schema: z.url(), meaning: 'Where NATS listens.' }),
  TOKEN: setting({ schema: z.string().min(8), meaning: 'The token.', secret: true }),
});

test('defaults fill what is absent and values come out typed', () => {
  const config = loadSettings(rows, { NATS_URL: 'nats://127.0.0.1:4222', TOKEN: 'long-enough', PORT: '' });
  const port: number = config.PORT;
  expect({ ...config, PORT: port }).toEqual({
    PORT: 0,
    NATS_URL: 'nats://127.0.0.1:4222',
    TOKEN: 'long-enough',
  });
});

test('every problem is reported at once, and secrets stay out of the text', () => {
  try {
    loadSettings(rows, { PORT: '70000', TOKEN: 's3cret' });
    expect.unreachable();
  } catch (error) {
    if (!isCoded(error)) throw error;
    expect(error.violations.map((v) => v.field)).toEqual(['PORT', 'NATS_URL', 'TOKEN']);
    expect(error.message).toContain('"70000"');
    expect(error.message).not.toContain('s3cret');
  }
});

test('the printed configuration masks secrets', () => {
  const config = loadSettings(rows, { NATS_URL: 'nats://n', TOKEN: 'long-enough' });
  const text = printConfig(rows, config);
  expect(text).toContain('NATS_URL=nats://n');
  expect(text).toContain('TOKEN=***');
  expect(text).not.toContain('long-enough');
});

test('a name that no environment can hold is refused at declaration', () => {
  expect(() => defineSettings({ port: setting({ schema: z.string(), meaning: 'x' }) })).toThrow(TypeError);
});
