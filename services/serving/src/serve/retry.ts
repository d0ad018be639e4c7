import type { TargetStatus } from '../domain/deployment.ts';

/** A target that did not load. */
export interface Retry {
  readonly atMs: number;
  readonly times: number;
  /** How the target stood then: another version or state is news. */
  readonly version: number;
  readonly state: TargetStatus['state'];
}

/** Failures that no waiting mends; another version or another deployment may. */
const lasting = new Set([
  'MODEL_LOAD_FAILED',
  'MODEL_UNSAFE',
  'MODEL_TOO_LARGE',
  'MODEL_UNFIT',
  'INVALID_FIELD',
]);
/** 1 s, 2 s, 4 s … at most a minute. */
const retryDelayMs = (times: number) => Math.min(60_000, 1000 * 2 ** Math.min(times, 6));

/** When a target that failed with this code, for the n-th time, is tried again. */
export function retryAtMs(code: string, times: number, nowMs: number): number {
  return lasting.has(code) ? Number.POSITIVE_INFINITY : nowMs + retryDelayMs(times - 1);
}

/** Whether a target that did not load is left alone for now. News about it end the rest. */
export function rests(retry: Retry | undefined, status: TargetStatus, nowMs: number): boolean {
  if (!retry || retry.atMs <= nowMs) return false;
  return retry.version === status.wantedVersion && retry.state === status.state;
}
