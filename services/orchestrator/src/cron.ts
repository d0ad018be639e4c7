import { invalidField } from '@millrace/errors';
import { Cron } from 'croner';

/** Gives the first time of a cron expression after a moment, in milliseconds since 1970; undefined when there is none. */
export type NextTime = (afterMs: number) => number | undefined;

/** Reads a cron expression in a time zone; INVALID_FIELD names the field at fault. Source: croner. */
export function createCron(expression: string, timeZone: string, path = 'schedule'): NextTime {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw invalidField(
      `${path}.time_zone`,
      `${JSON.stringify(timeZone)} is no time zone`,
      'an IANA name, for example Europe/Zurich',
    );
  }
  const fields = expression.trim().split(/\s+/).length;
  const allowed = 'five or six cron fields, for example 0 3 * * *';
  if (fields !== 5 && fields !== 6)
    throw invalidField(`${path}.cron`, `${JSON.stringify(expression)} has ${fields} fields`, allowed);
  let cron: Cron;
  try {
    cron = new Cron(expression, { timezone: timeZone, paused: true });
  } catch (error) {
    throw invalidField(
      `${path}.cron`,
      `${JSON.stringify(expression)}: ${error instanceof Error ? error.message : 'not understood'}`,
      allowed,
    );
  }
  return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime();
}
