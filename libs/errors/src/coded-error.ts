import type { Kind } from './kinds.ts';

/** One field of a request that broke a rule. */
export interface FieldViolation {
  /** The path of the field, in proto names: `metrics[3].key`. */
  readonly field: string;
  /** What was wrong and what is allowed. */
  readonly description: string;
}

export interface CodedErrorOptions {
  /** The fields at fault, for `invalid_argument`. */
  readonly violations?: readonly FieldViolation[];
  /** Names and numbers that belong to the error and may be shown to the caller. */
  readonly details?: Readonly<Record<string, string>>;
  /** How long to wait before another try, where that is known. */
  readonly retryAfterMs?: number;
  /** What was caught. It is logged and never travels. */
  readonly cause?: unknown;
}

/**
 * The one error type that leaves a service. `code` is stable and upper-case (see `codes.ts`); `message` is for
 * people: it names the thing, what was wrong, what is allowed and, where it helps, the next step.
 */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly kind: Kind;
  readonly code: string;
  readonly violations: readonly FieldViolation[];
  readonly details: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(kind: Kind, code: string, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.violations = options.violations ?? [];
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether something caught is a coded error, of this kind or code if one is given. */
export function isCoded(error: unknown, kindOrCode?: Kind | string): error is CodedError {
  if (!(error instanceof CodedError)) return false;
  return kindOrCode === undefined || error.kind === kindOrCode || error.code === kindOrCode;
}
