import { CodedError } from '@millrace/errors';

/** Names the settings in which `actual` differs from what was wanted. */
export function differences(wanted: object, actual: object): string[] {
  const read = actual as Readonly<Record<string, unknown>>;
  return Object.entries(wanted)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(read[key]))
    .map(([key, value]) => `${key} is ${JSON.stringify(read[key])}, not ${JSON.stringify(value)}`);
}

/** Throws STREAM_CONFIG_DIFFERS when the server did not take over every setting. */
export function requireSame(what: string, wanted: object, actual: object): void {
  const found = differences(wanted, actual);
  if (found.length === 0) return;
  const message = `the server did not take over the settings of ${what}: ${found.join('; ')}; use nats-server 2.14 or newer`;
  throw new CodedError('failed_precondition', 'STREAM_CONFIG_DIFFERS', message);
}
