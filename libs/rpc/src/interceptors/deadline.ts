import type { DescMethod } from '@bufbuild/protobuf';
import { deadlinePassed } from '../context.ts';
import type { Interceptor, RouterOptions } from '../router.ts';

/** Timers beyond this fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * Ends calls when their deadline passes, and gives one to calls that came without. The caller is answered at once;
 * the handler learns of it through its signal.
 */
export function deadline(method: DescMethod, options: RouterOptions): Interceptor {
  const unary = method.methodKind === 'unary';
  const defaultMs = unary
    ? (options.defaultDeadlineMs ?? 60_000)
    : (options.defaultStreamDeadlineMs ?? 3_600_000);
  return async (call, next) => {
    const now = Date.now();
    if (call.deadlineMs === Number.POSITIVE_INFINITY) call.deadlineMs = now + defaultMs;
    const leftMs = call.deadlineMs - now;
    if (leftMs <= 0) throw deadlinePassed();
    if (call.ended) throw call.ended;
    const timer = setTimeout(() => call.end(deadlinePassed()), Math.min(leftMs, maxTimerMs));
    try {
      await next(call);
    } finally {
      clearTimeout(timer);
    }
  };
}
