import { defineCodes } from '@millrace/errors';

/** The stable codes that only this library answers with. */
export const rpcCodes = defineCodes({
  UNDECODABLE: { kind: 'invalid_argument', meaning: 'The bytes of the request are not its message.' },
  UNENCODABLE: {
    kind: 'invalid_argument',
    meaning: 'A value of the request does not fit its field; the call was not made.',
  },
  PERMISSION_UNDECLARED: {
    kind: 'failed_precondition',
    meaning: 'The server has a method that declares no permission, and does not start.',
  },
  AUTHENTICATION_REQUIRED: {
    kind: 'failed_precondition',
    meaning: 'The server would be reached from other machines without authentication, and does not start.',
  },
});
