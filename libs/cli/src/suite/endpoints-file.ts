import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoints } from '@millrace/sdk';

/** The name that libs/sdk looks for; repeated because loading the SDK would cost half a second at start. */
export const endpointsFile = 'endpoints.json';

/** Tells clients on this machine where the suite is; readers see the whole file or none. It may hold a token. */
export function writeEndpoints(dataDir: string, endpoints: Endpoints): void {
  const path = join(dataDir, endpointsFile);
  writeFileSync(`${path}.tmp`, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** Takes the file away: there is no suite any more. */
export function removeEndpoints(dataDir: string): void {
  rmSync(join(dataDir, endpointsFile), { force: true });
}
