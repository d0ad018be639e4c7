import type { ColumnType } from '../domain/definition.ts';

/** The SQL type of each column type. */
export const sqlTypes: Readonly<Record<ColumnType, string>> = {
  bool: 'BOOLEAN',
  int64: 'BIGINT',
  double: 'DOUBLE',
  string: 'VARCHAR',
  timestamp: 'TIMESTAMP',
};

/** Which column type a DuckDB type is read as; undefined for lists, structs and whatever else has none. */
export function columnTypeOf(duckdbType: string): ColumnType | undefined {
  const type = duckdbType.toUpperCase();
  if (type === 'BOOLEAN') return 'bool';
  if (/^U?(TINYINT|SMALLINT|INTEGER)$/.test(type) || type === 'BIGINT') return 'int64';
  if (/^(FLOAT|DOUBLE|UBIGINT|U?HUGEINT|DECIMAL\(\d+,\s*\d+\))$/.test(type)) return 'double';
  if (/^(VARCHAR|JSON|UUID|ENUM\(.*\))$/s.test(type)) return 'string';
  if (/^(DATE|TIMESTAMP|TIMESTAMP_(S|MS|NS)|TIMESTAMP WITH TIME ZONE)$/.test(type)) return 'timestamp';
  return undefined;
}
