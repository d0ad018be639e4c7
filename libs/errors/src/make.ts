import { CodedError, type CodedErrorOptions, type FieldViolation } from './coded-error.ts';

/** One field is at fault: `field` as its proto path, `wrong` what was wrong, `allowed` what is allowed. */
export function invalidField(field: string, wrong: string, allowed: string): CodedError {
  return invalidFields([{ field, description: `${wrong}; allowed: ${allowed}` }]);
}

/** Several fields are at fault. */
export function invalidFields(violations: readonly FieldViolation[]): CodedError {
  const message = violations.map((v) => `${v.field}: ${v.description}`).join('\n');
  return new CodedError('invalid_argument', 'INVALID_FIELD', message, { violations });
}

/** The resource does not exist; give its full name. */
export function notFound(resource: string): CodedError {
  return new CodedError('not_found', 'NOT_FOUND', `${resource} does not exist`, { details: { resource } });
}

/** A resource of that name exists already. */
export function alreadyExists(resource: string): CodedError {
  return new CodedError('already_exists', 'ALREADY_EXISTS', `${resource} exists already`, {
    details: { resource },
  });
}

/** The resource changed since the caller read it. */
export function versionConflict(resource: string, expected: number, actual: number): CodedError {
  const message = `${resource} is at version ${actual}, not ${expected}; read it again and retry`;
  const details = { resource, expected: String(expected), actual: String(actual) };
  return new CodedError('aborted', 'VERSION_CONFLICT', message, { details });
}

/** The state of the resource does not allow what was asked. `code` defaults to WRONG_STATE. */
export function wrongState(message: string, code = 'WRONG_STATE', options?: CodedErrorOptions): CodedError {
  return new CodedError('failed_precondition', code, message, options);
}

/** Something needed cannot be reached now. */
export function unavailable(what: string, options?: CodedErrorOptions): CodedError {
  return new CodedError('unavailable', 'UNAVAILABLE', `${what} cannot be reached; retry`, options);
}
