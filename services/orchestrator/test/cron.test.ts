import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCron } from '../src/cron.ts';

test('row 18: any words are a schedule whose times follow one another, or refused with the field', () => {
  const piece = fc.constantFrom(
    ...'* ? 0 1 59 60 7 8 31 32 L W # + , - / */2 1-5 5-1 */0 MON JAN @daily 1W LW MON#5 5L +1 2001 -1 1e9 0x1 é'.split(
      ' ',
    ),
  );
  const field = fc.array(piece, { minLength: 1, maxLength: 2 }).map((all) => all.join(''));
  const expression = fc.oneof(
    fc.array(field, { minLength: 4, maxLength: 7 }).map((all) => all.join(' ')),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
  );
  const zone = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'Antarctica/Troll',
    'Africa/Casablanca',
    '../etc',
    '__proto__',
    '',
  );
  fc.assert(
    fc.property(expression, zone, (cron, timeZone) => {
      const begun = performance.now();
      try {
        const next = createCron(cron, timeZone);
        let after = Date.UTC(2026, 2, 28);
        for (let i = 0; i < 3; i++) {
          const time = next(after);
          if (time === undefined) break;
          expect(time).toBeGreaterThan(after);
          after = time;
        }
      } catch (error) {
        expect(error).toMatchObject({
          kind: 'invalid_argument',
          violations: [{ field: expect.stringMatching(/^schedule\.(cron|time_zone)$/) }],
        });
      }
      // The honest figure is a few milliseconds, also for days that never come.
      expect(performance.now() - begun).toBeLessThan(5_000);
    }),
    { numRuns: 400 },
  );
});
