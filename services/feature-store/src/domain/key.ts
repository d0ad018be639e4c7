import type { Cell } from './plan.ts';

/**
 * The text that stands for a key: its values in the order of the view's join keys. Texts and numbers stay apart, so
 * ("1", "23") and ("12", "3") differ. Undefined for a key with a null, which names nothing.
 */
export function keyOf(values: readonly Cell[]): string | undefined {
  const parts: string[] = [];
  for (const value of values) {
    if (value === null) return undefined;
    parts.push(typeof value === 'bigint' ? `i${value}` : `s${value}`);
  }
  return JSON.stringify(parts);
}
