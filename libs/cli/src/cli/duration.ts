import { usage } from './usage.ts';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds of a text such as `90s`, `1h30m`, `1.5d`; undefined when it is not one. */
export function durationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g))
    total += Number(amount) * unitMs[unit as keyof typeof unitMs];
  return total;
}

/** The same for an option; a usage error when it is not one, or is nothing. */
export function parseDurationMs(text: string, option: string): number {
  const ms = durationMs(text);
  if (ms !== undefined && ms > 0) return ms;
  throw usage(`${option} ${JSON.stringify(text)} is not a time such as 500ms, 10s, 1h30m, 2d`);
}

/** A moment: a duration ago (`10m`), or an ISO 8601 time. */
export function parseMoment(text: string, option: string, nowMs: number): Date {
  const ago = durationMs(text);
  if (ago !== undefined) return new Date(nowMs - ago);
  const moment = new Date(text);
  if (!Number.isNaN(moment.getTime()) && /^\d{4}-/.test(text)) return moment;
  throw usage(
    `${option} ${JSON.stringify(text)} is neither a time ago such as 10m nor a moment such as 2026-01-31T12:00Z`,
  );
}

/** A whole number from `min` on. */
export function parseWhole(text: string, option: string, min: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= min) return number;
  throw usage(`${option} ${JSON.stringify(text)} is not a whole number from ${min} on`);
}
