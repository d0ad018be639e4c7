import { type CodedError, invalidField } from '@millrace/errors';
import { filterLimits } from '../limits.ts';

/** Reads an expression from left to right. Every method leaves the position after what it took. */
export interface Scanner {
  /** Whether nothing but space is left. */
  atEnd(): boolean;
  /** Takes exactly this text if it is next. */
  take(text: string): boolean;
  /** Takes this word, whatever its case, if it is next and ends there. */
  takeWord(word: string): boolean;
  /** Takes a plain word, if one is next. */
  word(): string | undefined;
  /** Takes what follows `metrics.`: a quoted name or plain characters. */
  key(): string;
  /** Takes text in single or double quotes, if next. */
  quoted(): string | undefined;
  /** Takes a number, if next. */
  number(): number | undefined;
  /** Whether this character is next, without space before it. */
  touches(char: string): boolean;
  /** An error at the place where reading stands. */
  error(expected: string): CodedError;
}

const shapes = {
  space: /[\s]*/y,
  word: /[A-Za-z_][A-Za-z0-9_]*/y,
  // Names of metrics as people write them, for example `val/loss` or `top-5`.
  plainKey: /[A-Za-z0-9_.\-/:@]+/y,
  number: /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.])/y,
  signedInfinity: /[+-](?:inf|infinity)(?![A-Za-z0-9_])/iy,
} as const;

/** Starts reading; `field` is named in errors. */
export function createScanner(source: string, field: string): Scanner {
  let at = 0;
  if (source.length > filterLimits.lengthChars)
    throw invalidField(field, `${source.length} characters`, `at most ${filterLimits.lengthChars}`);

  const match = (shape: RegExp): string | undefined => {
    shape.lastIndex = at;
    const found = shape.exec(source)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const skip = () => match(shapes.space);

  const error = (expected: string): CodedError => {
    const rest = source.slice(at, at + 20);
    const found = rest === '' ? 'its end' : JSON.stringify(rest);
    return invalidField(field, `at character ${at + 1}: found ${found}`, expected);
  };

  const until = (quote: string): string => {
    const start = at;
    let text = '';
    at += 1;
    for (;;) {
      const end = source.indexOf(quote, at);
      if (end === -1) {
        at = start;
        throw error(`a closing ${quote}`);
      }
      text += source.slice(at, end);
      at = end + 1;
      if (source[at] !== quote) return text;
      // A doubled quote stands for itself.
      text += quote;
      at += 1;
    }
  };

  return {
    error,
    touches: (char) => source[at] === char,
    atEnd: () => {
      skip();
      return at === source.length;
    },
    take: (text) => {
      skip();
      if (!source.startsWith(text, at)) return false;
      at += text.length;
      return true;
    },
    takeWord: (word) => {
      skip();
      const start = at;
      if (match(shapes.word)?.toUpperCase() === word) return true;
      at = start;
      return false;
    },
    word: () => {
      skip();
      return match(shapes.word);
    },
    key: () => {
      const quote = source[at];
      const key = quote === '`' || quote === '"' ? until(quote) : match(shapes.plainKey);
      if (!key) throw error('a name; names other than plain words stand in backticks');
      if (key.length > 256) throw error('a name of at most 256 characters');
      return key;
    },
    quoted: () => {
      skip();
      const quote = source[at];
      return quote === "'" || quote === '"' ? until(quote) : undefined;
    },
    number: () => {
      skip();
      const start = at;
      const infinite = match(shapes.signedInfinity);
      if (infinite) return infinite.startsWith('-') ? -Infinity : Infinity;
      const text = match(shapes.number);
      if (text === undefined) return undefined;
      const value = Number(text);
      if (Number.isFinite(value)) return value;
      at = start;
      throw error('a number that fits 64 bits, or inf');
    },
  };
}
