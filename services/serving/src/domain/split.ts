/**
 * A number in [0, 1) that depends on the text alone: FNV-1a, then MurmurHash3's finalizer, which spreads ids that
 * differ in one character. The salt keeps independent choices independent.
 */
export function fraction(text: string, salt: string): number {
  let hash = 0x811c9dc5;
  for (const part of [salt, '\u0000', text]) {
    for (let i = 0; i < part.length; i++) {
      hash ^= part.charCodeAt(i);
      hash = Math.imul(hash, 0x01000193);
    }
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0) / 2 ** 32;
}

/** Chooses by weight: the same id always gets the same one while the weights stay. Undefined when all weigh nothing. */
export function choose<T extends { readonly weight: number }>(
  targets: readonly T[],
  id: string,
  salt: string,
): T | undefined {
  const total = targets.reduce((sum, target) => sum + target.weight, 0);
  if (!(total > 0)) return undefined;
  let left = fraction(id, salt) * total;
  for (const target of targets) {
    left -= target.weight;
    if (left < 0) return target;
  }
  return targets.findLast((target) => target.weight > 0);
}
