import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What the supervisor knows of an attempt: `record` in its folder. Where there is none, no process was ever started. */
export interface AttemptRecord {
  readonly process?: ProcessRecord;
  readonly exit?: ExitRecord;
}

/** How a process ended. */
export interface ExitRecord {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started. */
  readonly refused?: string;
  /** It had been asked to end. */
  readonly stopped?: true;
  /** The supervisor stopped it although nobody asked for that. */
  readonly interrupted?: string;
}

/** Which process an attempt is. */
export interface ProcessRecord {
  readonly pid: number;
  /** When the process started, as the system tells it; a process with the same pid and another start is a stranger. */
  readonly start: string;
}

/** A record that is being written. */
export interface RecordFile {
  /** Adds what became known. The disk may be full: what could not be written is still told. */
  add(part: AttemptRecord): void;
  close(): void;
}

const pathIn = (folder: string) => join(folder, 'record');

/** Whether the process of an attempt was started, or was about to be. */
export const hasRecord = (folder: string): boolean => existsSync(pathIn(folder));

/**
 * Begins the record of an attempt, before its process is started. It is one file that only grows, by a line of JSON at a
 * time: a file system looks for the place of each new file, the longer the more were removed in the last minutes.
 */
export function beginRecord(folder: string): RecordFile {
  const file = openSync(pathIn(folder), 'a', 0o600);
  return {
    add(part) {
      try {
        // A line that was cut off before it ends here.
        writeSync(file, `\n${JSON.stringify(part)}\n`);
      } catch {
        // Nothing more can be done: whoever looks for it finds none, and takes the attempt for lost.
      }
    },
    close: () => closeSync(file),
  };
}

/** Reads what is known; undefined where no process was ever started. A line that was cut off says nothing. */
export function readRecord(folder: string): AttemptRecord | undefined {
  let text: string;
  try {
    text = readFileSync(pathIn(folder), 'utf8');
  } catch {
    return undefined;
  }
  let record: AttemptRecord = {};
  for (const line of text.split('\n')) {
    try {
      if (line) record = { ...record, ...(JSON.parse(line) as AttemptRecord) };
    } catch {
      // Cut off.
    }
  }
  return record;
}
