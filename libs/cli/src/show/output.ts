import type { DescMessage, JsonValue, MessageShape } from '@bufbuild/protobuf';
import { toJson } from '@bufbuild/protobuf';
import { type Column, tableLines } from './table.ts';
import { clean, widthOf } from './text.ts';

/** How a command answers: for people, or as JSON. */
export interface Output {
  readonly json: boolean;
  /** Whether a person watches. */
  readonly live: boolean;
  /** Characters in a line; infinite when nobody watches. */
  readonly width: number;
  /** Writes a line; not in JSON. */
  line(text?: string): void;
  /** Writes messages as a table, or as one JSON array. */
  list<S extends DescMessage>(
    schema: S,
    messages: readonly MessageShape<S>[],
    columns: readonly Column<MessageShape<S>>[],
    empty: string,
  ): void;
  /** Writes rows as a table; not in JSON. */
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): void;
  /** Writes one message: in JSON as it is, else by `show`. */
  item<S extends DescMessage>(schema: S, message: MessageShape<S>, show: () => void): void;
  /** Writes names and values, aligned; not in JSON. */
  fields(rows: readonly (readonly [string, string | undefined])[]): void;
  /** Writes one JSON document on one line; only in JSON. */
  document(value: JsonValue | object): void;
  /** Shows what is being done on the last line of a terminal; the next call replaces it, no text ends it. */
  progress(text?: string): void;
  strong(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
}

export interface OutputOptions {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly json: boolean;
  readonly env: Readonly<NodeJS.ProcessEnv>;
}

/** Makes an output. Colours only on a terminal, and not when NO_COLOR is set. Source: no-color.org. */
export function createOutput({ stdout, json, env }: OutputOptions): Output {
  const live = stdout.isTTY === true && !json;
  const coloured = live && !env.NO_COLOR && env.TERM !== 'dumb';
  const width = live ? (stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
  const paint = (code: number) => (text: string) => (coloured ? `\u001B[${code}m${text}\u001B[0m` : text);
  let shown = false;
  const clear = () => {
    if (shown) stdout.write('\r\u001B[K');
    shown = false;
  };
  const write = (text: string) => {
    clear();
    stdout.write(`${text}\n`);
  };
  const strong = paint(1);
  const out: Output = {
    json,
    live,
    width,
    line: (text = '') => {
      if (!json) write(text);
    },
    list: (schema, messages, columns, empty) => {
      if (json) out.document(messages.map((message) => toJson(schema, message)));
      else if (messages.length === 0) write(empty);
      else out.table(messages, columns);
    },
    table: (rows, columns) => {
      if (json) return;
      const [titles = '', ...lines] = tableLines(rows, columns, width);
      write(strong(titles));
      for (const line of lines) write(line);
    },
    item: (schema, message, show) => {
      if (json) out.document(toJson(schema, message));
      else show();
    },
    fields: (rows) => {
      if (json) return;
      const present = rows.filter(([, value]) => value !== undefined && value !== '');
      const left = Math.max(0, ...present.map(([name]) => widthOf(name)));
      for (const [name, value] of present) write(`${`${name}:`.padEnd(left + 2)}${clean(value!)}`);
    },
    document: (value) => {
      if (json) write(JSON.stringify(value));
    },
    progress: (text) => {
      if (!live) return;
      clear();
      if (text === undefined) return;
      stdout.write(text.slice(0, width - 1));
      shown = true;
    },
    strong,
    good: paint(32),
    bad: paint(31),
    dim: paint(2),
  };
  return out;
}
