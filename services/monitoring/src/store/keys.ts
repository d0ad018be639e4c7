/**
 * The id of a monitor's document, and what its windows, reports and alarms go by. The monitor's id stands as it is: encoded
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

/** The id of a window's and a report's document. */
export function windowKey(monitor: string, startMs: number): string {
  return `${monitor}/${startMs / 1000}`;
}
