/**
 * A matcher of SQL LIKE patterns: `%` stands for any text, `_` for one character, `\` makes the next character
 * ordinary. All partial matches advance together, one bit each, so the time is proportional to the text whatever
 * the pattern; nothing backtracks.
 * Source: R. Baeza-Yates and G. Gonnet, A New Approach to Text Searching, CACM 35(10), 1992 (shift-and).
 */
export function createLike(pattern: string, ignoreCase: boolean): (text: string) => boolean {
  const fold = ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  const { elements, loops } = readPattern(fold(pattern));
  const words = (elements.length >> 5) + 1;
  const masks = charMasks(elements, words);
  const any = masks.get(undefined) ?? new Uint32Array(words);
  const loopMask = new Uint32Array(words);
  for (const at of loops) setBit(loopMask, at);

  return (text) => {
    // Bit i is set while the first i elements match what was read so far.
    let states = new Uint32Array(words);
    let next = new Uint32Array(words);
    states[0] = 1;
    for (const char of fold(text)) {
      const mask = masks.get(char) ?? any;
      let carry = 0;
      let alive = 0;
      for (let w = 0; w < words; w++) {
        const state = states[w] as number;
        const advanced = ((state << 1) | carry) & (mask[w] as number);
        carry = state >>> 31;
        next[w] = advanced | (state & (loopMask[w] as number));
        alive |= next[w] as number;
      }
      if (alive === 0) return false;
      [states, next] = [next, states];
    }
    return ((states[elements.length >> 5] as number) & (1 << (elements.length & 31))) !== 0;
  };
}

/** The ordinary characters of a pattern (`undefined` is `_`), and after how many of them a `%` stands. */
function readPattern(pattern: string) {
  const elements: (string | undefined)[] = [];
  const loops: number[] = [];
  let escaped = false;
  for (const char of pattern) {
    if (!escaped && char === '\\') {
      escaped = true;
      continue;
    }
    if (!escaped && char === '%') loops.push(elements.length);
    else elements.push(!escaped && char === '_' ? undefined : char);
    escaped = false;
  }
  // A backslash at the very end is an ordinary one.
  if (escaped) elements.push('\\');
  return { elements, loops };
}

/** For each character, the bits i + 1 of the elements i that it matches; `undefined` stands for all other characters. */
function charMasks(elements: readonly (string | undefined)[], words: number) {
  const masks = new Map<string | undefined, Uint32Array>();
  for (const char of [undefined, ...elements]) {
    if (masks.has(char)) continue;
    const mask = new Uint32Array(words);
    for (const [i, element] of elements.entries())
      if (element === undefined || element === char) setBit(mask, i + 1);
    masks.set(char, mask);
  }
  return masks;
}

function setBit(mask: Uint32Array, bit: number): void {
  const word = bit >> 5;
  mask[word] = (mask[word] as number) | (1 << (bit & 31));
}
