/** The id of a monitor's document, and what its windows, reports and alarms go by. */
export function monitorKey(monitor: { readonly project: string; readonly id: string }): string {
  return `${monitor.project}/${encodeURIComponent(monitor.id)}`;
}

/** Takes a monitor's key apart. */
export function parseMonitorKey(key: string): { readonly project: string; readonly id: string } {
  const slash = key.indexOf('/');
  return { project: key.slice(0, slash), id: decodeURIComponent(key.slice(slash + 1)) };
}

/** The id of a window's and a report's document. */
export function windowKey(monitor: string, startMs: number): string {
  return `${monitor}/${startMs / 1000}`;
}
