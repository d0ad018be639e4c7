import { CodedError } from '@millrace/errors';

/** The oldest server that can be used: the first with `sync_interval` and `filter_subjects`. */
export const minimumVersion = '2.10.0';

/** The version that is fetched from the official releases. */
export const releaseVersion = '2.15.2';

type Parts = readonly [major: number, minor: number, patch: number];

/** The first `<major>.<minor>.<patch>` in a text such as `nats-server: v2.15.2`; undefined when there is none. */
function parseVersion(text: string): Parts | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

/** Orders versions; negative when `a` is older than `b`. Text without a version is older than all. */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a) ?? [-1, 0, 0];
  const right = parseVersion(b) ?? [-1, 0, 0];
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** What a server's version means for us. */
export interface VersionVerdict {
  readonly usable: boolean;
  /** What is wrong or advised, and what to do; undefined when there is nothing to say. */
  readonly advice?: string;
}

const remedy =
  'install nats-server 2.14 or newer, put it on the PATH, or set NATS_URL to a server that is new enough';

/**
 * Judges a server's version. Servers before 2.10 are refused. 2.10.0 to 2.10.22 can lose whole streams in a crash
 * (nats-server issue 6888), and 2.14 is the first to report storage errors: both are advised.
 */
export function judgeVersion(version: string): VersionVerdict {
  if (!parseVersion(version))
    return {
      usable: false,
      advice: `nats-server reports no version (${JSON.stringify(version)}); ${remedy}`,
    };
  if (compareVersions(version, minimumVersion) < 0)
    return { usable: false, advice: `nats-server ${version} is older than ${minimumVersion}; ${remedy}` };
  if (compareVersions(version, '2.10.23') < 0)
    return { usable: true, advice: `nats-server ${version} can lose streams in a crash; ${remedy}` };
  if (compareVersions(version, '2.14.0') < 0)
    return {
      usable: true,
      advice: `nats-server ${version} works; 2.14 or newer also reports storage errors`,
    };
  return { usable: true };
}

/** Throws NATS_TOO_OLD for a server that cannot be used; returns the advice, if any, for one that can. */
export function checkVersion(version: string): string | undefined {
  const { usable, advice } = judgeVersion(version);
  if (usable) return advice;
  const details = { version, minimum: minimumVersion };
  throw new CodedError('failed_precondition', 'NATS_TOO_OLD', advice ?? remedy, { details });
}
