import { names } from '@millrace/contracts';
import { invalidField, notFound } from '@millrace/errors';
import { monitorKey } from '../store/keys.ts';
import type { Store } from '../store/store.ts';

/** The key of a monitor by its full name. */
export function keyOf(name: string, field = 'name'): string {
  const { project, monitor } = names.monitor.parse(name, field);
  return monitorKey({ project, id: monitor });
}

/** The monitor of a name; NOT_FOUND if there is none. */
export async function findMonitor(store: Store, name: string, field = 'name') {
  const found = await store.monitors.get(keyOf(name, field));
  if (!found) throw notFound(name);
  return found;
}

/** The revision an etag stands for; undefined when none is given. */
export function revisionOf(etag: string, field = 'etag'): number | undefined {
  if (etag === '') return undefined;
  if (!/^[1-9][0-9]{0,14}$/.test(etag))
    throw invalidField(field, 'is no etag', 'the etag that was read, or empty');
  return Number(etag);
}

/** Page size and place for the store. */
export function pageOf(request: { readonly pageSize: number; readonly pageToken: string }) {
  return {
    limit: Math.min(request.pageSize || 100, 1000),
    ...(request.pageToken ? { after: request.pageToken } : {}),
  };
}
