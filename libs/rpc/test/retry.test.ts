import { EventLogService } from '@millrace/contracts/common';
import { CodedError, type Kind, kinds } from '@millrace/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mayRetry, retryDelayMs } from '../src/retry.ts';
import { Echo } from './echo.ts';

const away = new CodedError('unavailable', 'UNAVAILABLE', 'away');

describe('a call may be made again', () => {
  it('when it reads, or carries a request id', () => {
    expect(mayRetry(EventLogService.method.listEvents, {}, away, 1)).toBe(true);
    expect(mayRetry(EventLogService.method.replayEvents, {}, away, 1)).toBe(false);
    expect(mayRetry(Echo.method.setText, { requestId: '' }, away, 1)).toBe(false);
    expect(mayRetry(Echo.method.setText, { requestId: 'a' }, away, 1)).toBe(true);
  });

  it('only after UNAVAILABLE, and not for ever', () => {
    for (const kind of Object.keys(kinds) as Kind[])
      expect(mayRetry(Echo.method.getText, {}, new CodedError(kind, 'X', ''), 1)).toBe(
        kind === 'unavailable',
      );
    expect(mayRetry(Echo.method.getText, {}, new Error('x'), 1)).toBe(false);
    expect(mayRetry(Echo.method.getText, {}, away, 9_999)).toBe(true);
    expect(mayRetry(Echo.method.getText, {}, away, 10_000)).toBe(false);
  });
});

it('waits ever longer, with jitter, no less than asked, and never past the deadline', () => {
  const attempts = fc.integer({ min: 1, max: 40 });
  const ms = fc.integer({ min: 0, max: 5000 });
  const draw = fc.double({ min: 0, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(attempts, ms, ms, draw, (n, leftMs, askedMs, r) => {
      const delayMs = retryDelayMs(n, leftMs, askedMs, () => r);
      const expected = askedMs + r * Math.min(1000, 50 * 2 ** (n - 1));
      return delayMs === (expected < leftMs ? expected : undefined);
    }),
  );
});
