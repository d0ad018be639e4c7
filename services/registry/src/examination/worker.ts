import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { examine, type ModelLimits } from '@millrace/onnx';

/** Examines one file away from the thread that answers calls; see examiner.ts. */
const { path, limits } = workerData as { readonly path: string; readonly limits: ModelLimits };
parentPort?.postMessage(examine(readFileSync(path), limits));
