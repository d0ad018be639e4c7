import { type CodedError, defineCodes, wrongState } from '@millrace/errors';

/** The codes that only the registry answers with. */
const registryCodes = defineCodes({
  ALIAS_GATED: {
    kind: 'failed_precondition',
    meaning: 'The alias has gates; promote the version, or set the alias with bypass_gates.',
  },
  VERSION_ALIASED: {
    kind: 'failed_precondition',
    meaning: 'An alias points to the version; move or remove it before the version is deleted.',
  },
  MODEL_ALIASED: {
    kind: 'failed_precondition',
    meaning: 'Aliases of the model are set; remove them before it is deleted.',
  },
  MODEL_HAS_VERSIONS: {
    kind: 'failed_precondition',
    meaning: 'The model has versions; delete them first, or delete it with force.',
  },
  NOTHING_TO_ROLL_BACK: {
    kind: 'failed_precondition',
    meaning: 'The alias has no earlier version that still exists.',
  },
  TOO_MANY_ALIASES: { kind: 'failed_precondition', meaning: 'The model can have no more aliases.' },
  TOO_MANY_GATES: { kind: 'failed_precondition', meaning: 'The model can have no more gates.' },
});

/** The state of a resource does not allow what was asked. */
export function refuse(code: keyof typeof registryCodes, message: string): CodedError {
  return wrongState(message, code);
}
