import { Format } from '@millrace/contracts/common';

/** The named shape of a string. */
export interface Shape {
  readonly test: (text: string) => boolean;
  /** What is allowed, for people. */
  readonly allowed: string;
}

const control = /\p{Cc}/u;

/** The shapes of millrace.common.v1.Format. */
export const shapes: Readonly<Record<number, Shape>> = {
  [Format.PROJECT]: shape(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    '1 to 63 lower-case letters, digits and inner hyphens',
  ),
  [Format.NAME]: {
    test: (text) => text.length > 0 && fits(text, 256) && !control.test(text),
    allowed: '1 to 256 characters, none of them control characters',
  },
  [Format.IDENTIFIER]: shape(
    /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    'a letter or underscore, then letters, digits and underscores, at most 128 characters',
  ),
  [Format.DIGEST]: shape(/^sha256:[0-9a-f]{64}$/, '`sha256:` and 64 lower-case hexadecimal digits'),
  [Format.REQUEST_ID]: shape(
    /^[A-Za-z0-9._:-]{1,128}$/,
    '1 to 128 letters, digits, dots, underscores, colons and hyphens',
  ),
  [Format.ARTIFACT_PATH]: {
    // A backslash separates segments where Windows reads the path.
    test: (text) =>
      fits(text, 1024) &&
      !text.includes('\\') &&
      text.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    allowed:
      'a relative path of at most 1024 characters without backslashes whose segments are not empty, `.` or `..`',
  },
  [Format.LABEL]: shape(
    /^[a-z][a-z0-9_-]{0,62}$/,
    'a lower-case letter, then lower-case letters, digits, underscores and hyphens, at most 63 characters',
  ),
};

/** Whether a text has at most so many characters (Unicode code points). */
export function fits(text: string, max: number): boolean {
  return text.length <= max || (text.length <= 2 * max && lengthOf(text) <= max);
}

/** The number of characters (Unicode code points) of a text. */
export function lengthOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function shape(pattern: RegExp, allowed: string): Shape {
  return { test: (text) => pattern.test(text), allowed };
}
