import { CodedError, isCoded } from '@millrace/errors';
import { nearest } from './nearest.ts';

/** The command line was not understood; it ends with exit code 2. */
export function usage(message: string): CodedError {
  return new CodedError('invalid_argument', 'USAGE', message);
}

/** Something unknown was named; the nearest of what is known is suggested. */
export function unknown(what: string, given: string, known: readonly string[], help: string): CodedError {
  const close = nearest(given, known);
  const suggestion = close ? ` Did you mean ${close}?` : '';
  return usage(`${what} ${JSON.stringify(given)} is not known.${suggestion} ${help}`);
}

/** Whether an error came from the command line itself. */
export function isUsage(error: unknown): boolean {
  return isCoded(error, 'USAGE');
}
