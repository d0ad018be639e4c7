/** A name and a text: a tag or a parameter. Kept in lists, sorted by key, because users choose the keys. */
export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** Orders by key, in UTF-16 code units, the same on every machine. */
export function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** The pairs after some are removed and others set; of several with the same key the last wins. */
export function setPairs(
  current: readonly Pair[],
  set: readonly Pair[],
  removed: readonly string[] = [],
): readonly Pair[] {
  const byName = new Map(current.map((pair) => [pair.key, pair.value]));
  for (const key of removed) byName.delete(key);
  for (const { key, value } of set) byName.set(key, value);
  return [...byName].map(([key, value]) => ({ key, value })).sort(byKey);
}

/** Whether two sorted lists say the same. */
export function samePairs(a: readonly Pair[], b: readonly Pair[]): boolean {
  return a.length === b.length && a.every((pair, i) => pair.key === b[i]?.key && pair.value === b[i].value);
}
