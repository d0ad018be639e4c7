import type { Monitor } from '../domain/monitor.ts';
import type { Report } from '../domain/report.ts';

/**
 * The id of a monitor's document, and what its reports and alarms go by. The monitor's id stands as it is: encoded
 * it could outgrow a document's id. What is appended to a key has no slash, so no two things have the same.
 */
export function monitorKey(monitor: { readonly project: string; readonly id: string }): string {
  return `${monitor.project}/${monitor.id}`;
}

/** Takes a monitor's key apart. */
export function parseMonitorKey(key: string): { readonly project: string; readonly id: string } {
  const slash = key.indexOf('/');
  return { project: key.slice(0, slash), id: key.slice(slash + 1) };
}

/**
 * What the windows of a monitor and their rows go by. Whoever still works for a monitor that was deleted must not meet those
 * of one that was made again under its name. No project has a colon.
 */
export function seriesKey({ project, id, again = 0 }: Pick<Monitor, 'project' | 'id' | 'again'>): string {
  return monitorKey({ project: again > 0 ? `${project}:${again}` : project, id });
}

/** The id of a window's document. */
export function windowKey(series: string, startMs: number): string {
  return `${series}/${startMs / 1000}`;
}

/** The last segment of a report's name. */
export function reportId({ startMs, again = 0 }: Pick<Report, 'startMs' | 'again'>): string {
  return again > 0 ? `${startMs / 1000}-${again}` : String(startMs / 1000);
}

/** The id of a report's document, by its monitor's key and its own id. */
export function reportKey(monitor: string, report: string): string {
  return `${monitor}/${report}`;
}
