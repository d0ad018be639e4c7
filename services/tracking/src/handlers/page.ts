import { createHash } from 'node:crypto';
import { invalidField } from '@millrace/errors';
import { z } from 'zod';

const defaultSize = 100;
const maxSize = 1000;

/** How many items a page has at most: 0 means the default, more than the greatest means the greatest. */
export function pageSizeOf(asked: number, standard = defaultSize, greatest = maxSize): number {
  return asked === 0 ? standard : Math.min(asked, greatest);
}

/** Answers stay below the 4 MiB that clients of other makers accept by default. */
const pageChars = 1024 * 1024;

/** As many items from the beginning as make a page of reasonable size, at least one. */
export function fitting<T>(items: readonly T[], charsOf: (item: T) => number): readonly T[] {
  let chars = 0;
  const end = items.findIndex((item, i) => {
    chars += charsOf(item);
    return i > 0 && chars > pageChars;
  });
  return end === -1 ? items : items.slice(0, end);
}

/** Writes and reads the page tokens of one kind of listing. */
export interface PageTokens<T> {
  /** `scope` is whatever must be the same on every page, such as the filter. */
  format(scope: readonly unknown[], place: T): string;
  /** Undefined for the first page; INVALID_FIELD `page_token` for a token that was not made for this listing. */
  parse(scope: readonly unknown[], token: string): T | undefined;
}

export function createPageTokens<T>(kind: string, shape: z.ZodType<T>): PageTokens<T> {
  const tokenShape = z.tuple([z.string(), shape]);
  const digest = (scope: readonly unknown[]) =>
    createHash('sha256')
      .update(JSON.stringify([kind, scope]))
      .digest('base64url')
      .slice(0, 12);
  return {
    format: (scope, place) => Buffer.from(JSON.stringify([digest(scope), place])).toString('base64url'),
    parse: (scope, token) => {
      if (token === '') return undefined;
      const parsed = tokenShape.safeParse(readJson(Buffer.from(token, 'base64url').toString()));
      if (parsed.success && parsed.data[0] === digest(scope)) return parsed.data[1];
      const allowed = 'next_page_token of the page before, with the same request otherwise';
      throw invalidField('page_token', 'was not made for this request', allowed);
    },
  };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
