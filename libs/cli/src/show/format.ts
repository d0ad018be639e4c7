import type { Timestamp } from '@bufbuild/protobuf/wkt';

/** Milliseconds since 1970 of a protobuf timestamp. */
export function timestampMs({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + Math.round(nanos / 1e6);
}

/** How long ago: `12 s ago`; a moment to come is `in 3 h`; `-` without one. */
export function ago(time: Timestamp | undefined, nowMs: number): string {
  if (!time) return '-';
  const ms = nowMs - timestampMs(time);
  return ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
}

/** The time between two moments; until now when the second is absent. */
export function between(start: Timestamp | undefined, end: Timestamp | undefined, nowMs: number): string {
  if (!start) return '-';
  return span(Math.max(0, (end ? timestampMs(end) : nowMs) - timestampMs(start)));
}

/** A length of time with its greatest fitting unit: `850 ms`, `12 s`, `3 h`, `2 d`. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** A size: `512 B`, `1.4 KiB`, `32 MiB`. */
export function bytes(size: bigint | number): string {
  let value = Number(size);
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024 || unit === 'TiB')
      return `${unit === 'B' || value >= 10 ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return '';
}

/** A number with five significant digits; whole numbers whole. */
export function number(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  const shown = Number(value.toPrecision(5));
  return Math.abs(value) < 1e-4 ? value.toExponential(2) : String(shown);
}

/** The name of an enum's value in lower case: `MODEL_VERSION_STATE_READY` is `ready`. */
export function enumName(names: Readonly<Record<string, number>>, value: number): string {
  const found = Object.entries(names).find(([, number]) => number === value);
  return (found?.[0] ?? String(value)).toLowerCase().replaceAll('_', ' ');
}

/** `projects/default/models/m/versions/3` as `models/m/versions/3`. */
export function short(resource: string): string {
  return resource.replace(/^projects\/[^/]+\//, '');
}

/** The last segment of a resource's name, decoded. */
export function lastOf(resource: string): string {
  const segment = resource.slice(resource.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
