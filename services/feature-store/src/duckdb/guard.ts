import { CodedError, invalidField } from '@millrace/errors';
import type { Engine } from './engine.ts';
import { literal } from './quote.ts';

/** The table that a transformation reads. */
const sourceTable = 'source';

const allowed = `a single SELECT over the table ${sourceTable}`;
const tableFunctions = new Set(['unnest', 'range', 'generate_series']);
/** Consistent within a query or known to reach outside it, whatever the catalogue calls them. */
const refusedFunctions =
  /^(getenv|getvariable|current_.*|pg_.*|has_.*|duckdb_.*|pragma_.*|json_execute.*|query.*|read_.*|.*_scan.*|glob|sniff.*|mr_.*|nextval|currval|error|in_search_path|add_parquet_key|icu_.*|force_checkpoint|checkpoint|write_log|parse_duckdb.*|stats|age)$/;
/** Words that the grammar takes for calls when there is no column of that name. */
const clockNames =
  /^(current_(date|time|timestamp|user|role|catalog|schema)|local(time|timestamp)|session_user|user)$/i;
const fromTypes = new Set(['EMPTY', 'BASE_TABLE', 'SUBQUERY', 'JOIN', 'EXPRESSION_LIST', 'TABLE_FUNCTION']);

interface Tree {
  readonly [key: string]: unknown;
}

/**
 * Checks a caller's SQL by DuckDB's own parser: one SELECT, over nothing but the table `source` and its own
 * common table expressions, with functions that always give the same answer. Gives the statement back as DuckDB
 * writes it, so that nothing of the caller's text but its meaning gets into other SQL. INVALID_FIELD names `field`.
 */
export async function checkSelect(engine: Engine, sql: string, field: string): Promise<string> {
  const parsed = await one(engine, `SELECT json_serialize_sql(${literal(sql)})`, field);
  const tree = readTree(parsed, field);
  if (tree.error === true) throw invalidField(field, String(tree.error_message), allowed);
  const statements = tree.statements as readonly Tree[];
  if (statements.length !== 1) throw invalidField(field, `${statements.length} statements`, allowed);
  const names = new Set([sourceTable]);
  const functions = new Set<string>();
  gather(statements[0], names, functions, 0, field);
  checkTables(statements[0], names, field);
  await checkFunctions(engine, functions, field);
  return one(engine, `SELECT json_deserialize_sql(${literal(parsed)}::JSON)`, field);
}

function readTree(text: string, field: string): Tree {
  try {
    return JSON.parse(text) as Tree;
  } catch {
    // DuckDB writes numbers that no double holds as `Infinity`, which is no JSON.
    throw invalidField(field, 'holds a number that no double holds', 'numbers up to 1.7e308');
  }
}

/** Levels of DuckDB's tree; an expression in another is two or three further down. Its binder's time grows with them. */
const maxDepth = 250;

/** Collects the names of common table expressions and the functions that are called. */
function gather(node: unknown, names: Set<string>, functions: Set<string>, depth: number, field: string) {
  if (depth > maxDepth) throw invalidField(field, 'nested too deeply', 'fewer levels');
  if (node === null || typeof node !== 'object') return;
  if (!Array.isArray(node)) {
    const tree = node as Tree;
    if ('cte_map' in tree) {
      const { map } = tree.cte_map as { map: readonly { key: string }[] };
      for (const { key } of map) names.add(key.toLowerCase());
    }
    if (tree.class === 'FUNCTION' || tree.class === 'WINDOW') {
      functions.add(String(tree.function_name).toLowerCase());
    }
    if (tree.class === 'COLUMN_REF') {
      const path = tree.column_names as readonly string[];
      if (path.length === 1 && clockNames.test(path[0]!)) functions.add(path[0]!.toLowerCase());
    }
    if (tree.sample !== undefined && tree.sample !== null) {
      throw invalidField(field, 'takes a sample, which is another at every reading', allowed);
    }
  }
  for (const child of Object.values(node)) gather(child, names, functions, depth + 1, field);
}

function checkTables(node: unknown, names: ReadonlySet<string>, field: string): void {
  if (node === null || typeof node !== 'object') return;
  const tree = node as Tree;
  if ('from_table' in tree) checkFrom(tree.from_table, field);
  if (tree.type === 'JOIN' && 'join_type' in tree) {
    checkFrom(tree.left, field);
    checkFrom(tree.right, field);
  }
  if (tree.type === 'BASE_TABLE' && 'table_name' in tree) {
    const name = String(tree.table_name);
    if (tree.schema_name !== '' || tree.catalog_name !== '' || !names.has(name.toLowerCase())) {
      throw invalidField(field, `reads ${JSON.stringify(name)}`, allowed);
    }
  }
  if (tree.type === 'TABLE_FUNCTION' && 'function' in tree) {
    const name = String((tree.function as Tree).function_name).toLowerCase();
    if (!tableFunctions.has(name)) throw invalidField(field, `reads ${name}()`, allowed);
  }
  for (const child of Object.values(tree)) checkTables(child, names, field);
}

function checkFrom(table: unknown, field: string): void {
  const type = String((table as Tree).type);
  if (!fromTypes.has(type)) throw invalidField(field, `reads a ${type}`, allowed);
}

async function checkFunctions(engine: Engine, functions: ReadonlySet<string>, field: string): Promise<void> {
  if (functions.size === 0) return;
  const asked = [...functions];
  const result = await engine.columns(
    `SELECT DISTINCT function_name FROM duckdb_functions() WHERE internal AND schema_name IN ('main', 'pg_catalog')
     AND function_name IN (${asked.map(literal).join(', ')})
     AND (stability = 'CONSISTENT' OR function_type IN ('aggregate', 'macro'))
     AND function_name NOT IN (SELECT function_name FROM duckdb_functions() WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY'))`,
  );
  const known = new Set(result[0]?.map(String));
  // Window functions proper are not in the catalogue, and neither are grammar's own.
  const grammar =
    /^(row_number|rank|dense_rank|percent_rank|cume_dist|ntile|lag|lead|first_value|last_value|nth_value|fill|unnest|coalesce|ifnull|try|grouping|struct_pack|list_value|row)$/;
  for (const name of asked) {
    if ((known.has(name) || grammar.test(name)) && !refusedFunctions.test(name)) continue;
    const wrong = `calls ${name}(), which does not exist or does not always give the same answer`;
    throw invalidField(field, wrong, 'functions of their arguments alone');
  }
}

async function one(engine: Engine, sql: string, field: string): Promise<string> {
  try {
    return String((await engine.columns(sql))[0]?.[0]);
  } catch (cause) {
    throw sqlError(cause, field);
  }
}

/** What DuckDB refused about a caller's SQL; anything that is not about the SQL itself stays a defect. */
export function sqlError(cause: unknown, field: string): unknown {
  if (cause instanceof CodedError || !(cause instanceof Error)) return cause;
  const about =
    /^(Parser|Binder|Catalog|Conversion|Out of Range|Out of Memory|Invalid Input|Syntax|Type|Mismatch Type|Not implemented|Expression|Serialization)\b[^:]*: ?/i;
  if (!about.test(cause.message)) return cause;
  const [line = ''] = cause.message.split('\n');
  return invalidField(field, line.slice(0, 300), allowed);
}
