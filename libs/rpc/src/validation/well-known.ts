import type { DescMessage } from '@bufbuild/protobuf';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import { type Check, violate } from './report.ts';

/** The check of a well-known type whose values have a documented range. */
export function wellKnownCheck(type: DescMessage): Check | undefined {
  if (type.typeName === 'google.protobuf.Timestamp') return timestampCheck;
  if (type.typeName === 'google.protobuf.Duration') return durationCheck;
  return undefined;
}

const firstSecond = -62_135_596_800n;
const lastSecond = 253_402_300_799n;
const maxNanos = 999_999_999;
const maxSeconds = 315_576_000_000n;

/** Source: google/protobuf/timestamp.proto. */
const timestampCheck: Check = (value, report) => {
  const { seconds, nanos } = value as Timestamp;
  const ok = seconds >= firstSecond && seconds <= lastSecond && nanos >= 0 && nanos <= maxNanos;
  if (!ok)
    violate(
      report,
      `is ${seconds} s and ${nanos} ns`,
      'moments from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z, nanos from 0 to 999999999',
    );
};

/** Source: google/protobuf/duration.proto. */
const durationCheck: Check = (value, report) => {
  const { seconds, nanos } = value as Duration;
  const inRange = seconds >= -maxSeconds && seconds <= maxSeconds && nanos >= -maxNanos && nanos <= maxNanos;
  const oneSign = !(seconds > 0n && nanos < 0) && !(seconds < 0n && nanos > 0);
  if (!inRange || !oneSign)
    violate(
      report,
      `is ${seconds} s and ${nanos} ns`,
      'at most 315576000000 s either way, seconds and nanos of the same sign',
    );
};
