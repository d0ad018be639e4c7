import type { ColumnType } from '../domain/definition.ts';
import type { Opening } from './instance.ts';

/** Values of some rows, column by column. */
export type Columns = readonly (readonly unknown[])[];

/** What an engine's process is asked, one after the other. */
export type Ask =
  | { readonly do: 'open'; readonly opening: Opening }
  | { readonly do: 'run'; readonly sql: string }
  /** All rows of a small result. */
  | { readonly do: 'columns'; readonly sql: string }
  /** Begins a result that is read with `next`. */
  | { readonly do: 'stream'; readonly sql: string }
  /** Some more rows of it; no columns at its end. */
  | { readonly do: 'next' }
  /** Appends rows to a temporary table that has these columns. */
  | {
      readonly do: 'append';
      readonly table: string;
      readonly types: readonly ColumnType[];
      readonly rows: Columns;
    }
  | { readonly do: 'close' };

/** The answer: values where something was asked for, or what DuckDB said was wrong. */
export type Answer = { readonly columns: Columns } | { readonly error: string };
