import { Worker } from 'node:worker_threads';
import { mapFault } from './faults.ts';

/** What contradicts itself in a file, at most ten things; none when it is sound. Source: sqlite.org/pragma.html#pragma_integrity_check */
export function verifyFile(file: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./verify-worker.ts', import.meta.url), { workerData: file });
    worker.once('message', resolve);
    worker.once('error', (error) => reject(mapFault(error, file)));
  });
}
