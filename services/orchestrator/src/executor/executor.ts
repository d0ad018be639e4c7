import { digestOf } from '@millrace/blobs';
import type { Output } from '../domain/spec.ts';
import type { TaskOutput } from '../domain/task.ts';

/** The digest of a log in which nothing stands; no blob is stored for it. */
export const emptyLog = digestOf(new Uint8Array());

/** What an executor runs: one attempt of one task, everything resolved. */
export interface Work {
  /** The attempt's id; starting the same id again changes nothing. Safe as a file name. */
  readonly id: string;
  readonly argv: readonly string[];
  /** The variables beside those the executor itself sets. */
  readonly env: readonly { readonly name: string; readonly value: string; readonly secret: boolean }[];
  /** Put into the working folder. */
  readonly files: readonly { readonly path: string; readonly digest: string; readonly executable: boolean }[];
  /** Put into the inputs folder. */
  readonly inputs: readonly { readonly path: string; readonly digest: string }[];
}

/** How work ended. */
export type Exit =
  /** `stopped`: it had been asked to end, so that no code, not even 0, means that its work is done. */
  | { readonly kind: 'exited'; readonly code: number; readonly stopped?: true }
  | { readonly kind: 'signalled'; readonly signal: string }
  /** The program could not be started. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It was stopped for a reason of the executor's own, or its end cannot be known. */
  | { readonly kind: 'lost'; readonly reason: string };

/** What an executor knows of work that an earlier process of this service started. */
export type Recall = { readonly kind: 'running' } | { readonly kind: 'unknown' } | Exit;

/** What work left behind, stored. */
export interface Collected {
  readonly outputs: readonly TaskOutput[];
  /** Why the outputs are not as declared. */
  readonly problem?: string;
}

interface Logs {
  readonly stdout: string;
  readonly stderr: string;
}

type LogStream = 'stdout' | 'stderr';

/**
 * The port to what runs steps. Everything an executor says is an observation: the engine decides what it means and
 * writes it down. Kubernetes Jobs are another adapter of the same port.
 */
export interface Executor {
  /** What may run at once. */
  readonly capacity: { readonly cpu: number; readonly memoryBytes: number };
  /** Starts work; answers when its process runs, or when it is known that it cannot (`onExit` tells then too). */
  start(work: Work): Promise<void>;
  /** Tells of every end of work that was started or found running, once for each. */
  onExit(listener: (id: string, exit: Exit) => void): void;
  /** What became of work that was started before; `running` work is observed from then on. */
  recall(id: string): Promise<Recall>;
  /** Asks the processes to end, and makes them after `graceMs`. */
  stop(id: string, graceMs: number): Promise<void>;
  /** Stores the declared outputs. */
  collect(id: string, outputs: readonly Output[]): Promise<Collected>;
  /** Stores the logs and answers their digests. */
  keepLogs(id: string): Promise<Logs>;
  /** A part of a log that is still being written; empty where there is none (yet). */
  readLog(id: string, stream: LogStream, offset: number, maxBytes: number): Promise<Uint8Array>;
  /** Forgets work that is over, with its folder. */
  discard(id: string): Promise<void>;
  /** Forgets all work but what is to be kept. */
  sweep(keep: (id: string) => Promise<boolean>): Promise<void>;
  /** Stops all work and waits for its end. */
  close(): Promise<void>;
}
