import { Worker } from 'node:worker_threads';
import { isUnsound, mapFault, type NamedFile } from './faults.ts';

/**
 * What contradicts itself in a file, at most ten things; none when it is sound. A file that is damaged so much that it
 * cannot be checked contradicts itself, too. Source: sqlite.org/pragma.html#pragma_integrity_check
 */
export function verifyFile({ name, file }: NamedFile): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./verify-worker.ts', import.meta.url), { workerData: file });
    worker.once('message', resolve);
    worker.once('error', (error) => {
      if (isUnsound(error)) resolve([`it cannot be checked: ${error.message}`]);
      else reject(mapFault(error, { name, file }));
    });
  });
}
