import { Worker } from 'node:worker_threads';
import type { BlobStore, Digest } from '@millrace/blobs';
import { type Examination, examine, type ModelLimits } from '@millrace/onnx';

/** Examines stored model files: reasons to refuse them, and what they say about themselves. */
export interface Examiner {
  /** Throws only what is not about the file, such as a store that is away: the same file may be asked for again. */
  examine(digest: Digest, sizeBytes: number): Promise<Examination>;
}

/** Files up to this take a few milliseconds at most and are examined at once. */
const inlineBytes = 128 * 1024;
/** What one file may take in a worker. */
const maxHeapMb = 3072;
const maxTimeMs = 60_000;

/**
 * Small files are examined on the spot, larger ones in a worker thread, one at a time: a large tree ensemble takes half
 * a second, a hostile file gigabytes, and neither may hold up the calls. A file that takes more memory or time than a
 * worker has is refused.
 */
export function createExaminer(blobs: BlobStore, limits: ModelLimits): Examiner {
  let last: Promise<unknown> = Promise.resolve();
  return {
    async examine(digest, sizeBytes) {
      if (sizeBytes > limits.maxBytes)
        return refusal('TOO_LARGE', `the file has ${sizeBytes} bytes; allowed are ${limits.maxBytes}`);
      if (sizeBytes <= inlineBytes) return examine(await blobs.bytes(digest), limits);
      const turn = last.then(async () => examineInWorker(await blobs.localPath(digest), limits));
      last = turn.catch(() => {});
      return turn;
    },
  };
}

function examineInWorker(path: string, limits: ModelLimits): Promise<Examination> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { path, limits },
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    });
    const timer = setTimeout(() => {
      settle(refusal('TOO_COMPLEX', `checking it takes more than ${maxTimeMs / 1000} s`));
    }, maxTimeMs);
    const settle = (examination: Examination) => {
      clearTimeout(timer);
      resolve(examination);
      void worker.terminate();
    };
    worker.once('message', settle);
    worker.once('error', (error) => {
      if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
        return settle(refusal('TOO_COMPLEX', `checking it takes more than ${maxHeapMb} MiB of memory`));
      clearTimeout(timer);
      reject(error);
    });
    // Without this a worker that ends without a word would hold up every examination after it.
    worker.once('exit', () => {
      clearTimeout(timer);
      reject(new Error('the worker ended without an answer'));
    });
  });
}

function refusal(code: 'TOO_LARGE' | 'TOO_COMPLEX', message: string): Examination {
  return { refusals: [{ code, message }] };
}
