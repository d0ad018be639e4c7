export { CodedError, type CodedErrorOptions, type FieldViolation, isCoded } from './coded-error.ts';
export { type CodeRow, codes, defineCodes } from './codes.ts';
export { from } from './from.ts';
export { type Kind, kindOfGrpc, kindOfHttp, kinds } from './kinds.ts';
export {
  alreadyExists,
  invalidField,
  invalidFields,
  notFound,
  unavailable,
  versionConflict,
  wrongState,
} from './make.ts';
