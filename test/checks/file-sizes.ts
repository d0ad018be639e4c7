import { sources } from './sources.ts';

const hardLimit = 400;
const testLimit = 500;
const medianLimit = 110;

/** Files stay small: median under 110 lines, none over 400 (tests 500). */
export async function fileSizes(root: string): Promise<string> {
  const sized = sources(root, '.ts').map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
  const wrong = sized
    .filter(({ path, lines }) => lines > (/(^|\/)test\//.test(path) ? testLimit : hardLimit))
    .map(({ path, lines }) => `${path} has ${lines} lines`);
  const sorted = sized.map(({ lines }) => lines).sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? 0;
  if (median >= medianLimit)
    wrong.push(`the median file has ${median} lines; it should stay under ${medianLimit}`);
  return wrong.join('\n');
}
