const controls = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A text on one line without control characters: what others wrote must not steer a terminal. */
export function clean(text: string): string {
  return text.replace(controls, (char) => (/\s/.test(char) ? ' ' : '\uFFFD'));
}

/** Cut to so many characters, with an ellipsis where something was cut. */
export function clip(text: string, width: number): string {
  const chars = [...text];
  if (chars.length <= width) return text;
  return width <= 1 ? '…'.slice(0, width) : `${chars.slice(0, width - 1).join('')}…`;
}

/** How many characters a text has, as a terminal counts them for alphabets without wide characters. */
export function widthOf(text: string): number {
  return [...text].length;
}
