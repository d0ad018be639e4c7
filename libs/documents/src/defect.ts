import { CodedError } from '@millrace/errors';

/** A mistake of the service that uses the store (a wrong declaration, an undeclared collection), not of its caller. */
export function defect(message: string): CodedError {
  return new CodedError('internal', 'INTERNAL', message);
}
