import { posix, win32 } from 'node:path';
import { Format } from '@millrace/contracts/common';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shapes } from '../src/validation/formats.ts';

/** Row 2 of the catalogue of bad input: whatever passes as the path of an artifact stays below its folder. */
it('row 2: no artifact path leads out of its folder, on any system', () => {
  const shape = shapes[Format.ARTIFACT_PATH]!;
  const part = fc.constantFrom(
    '..',
    '.',
    '',
    'a',
    '%2e%2e',
    '%252e',
    '..;',
    '~',
    'C:',
    '\\',
    '..\\',
    '\0',
    ' ',
    '#',
    '?',
    '\u2025',
    '\uff0e',
  );
  const separator = fc.constantFrom('/', '\\', '//', '%2f', '%5c', '\u2215', '');
  const built = fc
    .array(fc.tuple(part, separator), { maxLength: 6 })
    .map((pieces) => pieces.map(([text, after]) => text + after).join(''));
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.oneof({ weight: 4, arbitrary: built }, fc.string({ unit: 'grapheme', maxLength: 20 })),
      (path) => {
        if (!shape.test(path)) return;
        accepted++;
        for (const [system, root] of [
          [posix, '/srv/root'],
          [win32, 'C:\\srv\\root'],
        ] as const) {
          expect(system.join(root, path).startsWith(root + system.sep), path).toBe(true);
        }
      },
    ),
    { numRuns: 100_000 },
  );
  expect(accepted).toBeGreaterThan(1_000);
});
