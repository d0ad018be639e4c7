import { names } from '@millrace/contracts';
import { notFound } from '@millrace/errors';
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
