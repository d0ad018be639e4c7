import { StringDecoder } from 'node:string_decoder';
import type { ExitRecord } from './attempt-record.ts';

/** The lines of JSON between the orchestrator and its supervisor, over a local socket. */

export type ToSupervisor =
  | {
      readonly do: 'start';
      readonly id: string;
      /** The attempt's folder, with `work`, and room for logs and records. */
      readonly folder: string;
      readonly argv: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      /** Texts that become `***` in the logs. */
      readonly secrets: readonly string[];
      readonly maxLogBytes: number;
    }
  | { readonly do: 'stop'; readonly id: string; readonly graceMs: number }
  | { readonly do: 'list' }
  /** Stop everything and end. */
  | { readonly do: 'shutdown'; readonly graceMs: number };

export type FromSupervisor =
  /** The first word to whoever connects. */
  | { readonly say: 'ready' }
  | { readonly say: 'started'; readonly id: string; readonly pid: number }
  | { readonly say: 'exited'; readonly id: string; readonly exit: ExitRecord }
  | { readonly say: 'running'; readonly ids: readonly string[] };

/** Splits bytes into JSON lines. */
export function lineReader(handle: (line: unknown) => void): (chunk: Buffer) => void {
  // A chunk may end in the middle of a character.
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return (chunk) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line) handle(JSON.parse(line));
  };
}
