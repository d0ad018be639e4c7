import type { ColumnType } from './definition.ts';
import type { Cell } from './plan.ts';

/** A column of a table in memory. */
export interface TableColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** Of its type or null; INT64 and TIMESTAMP as bigints. */
  readonly cells: readonly Cell[];
}

/** Rows in columns. */
export interface Table {
  readonly rowCount: number;
  readonly columns: readonly TableColumn[];
}

export const columnOf = (table: Table, name: string): TableColumn | undefined =>
  table.columns.find((c) => c.name === name);
