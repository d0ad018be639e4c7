import type { BlobStore } from '@millrace/blobs';
import { wrongState } from '@millrace/errors';
import type { FeatureView, Source } from './domain/definition.ts';
import { viewPlan } from './domain/definition.ts';
import { describeSource } from './duckdb/describe.ts';
import type { Engine, EngineOptions } from './duckdb/engine.ts';
import { checkSelect } from './duckdb/guard.ts';
import { loadTables } from './duckdb/load.ts';
import { ident, list } from './duckdb/quote.ts';
import { castColumn, type LocalSource, transformed, viewRows } from './duckdb/relation.ts';
import type { Pushes } from './online/pushes.ts';
import { locateSource } from './source-file.ts';
import type { Store } from './store/store.ts';

/** Finds and reads source files. */
export function createSources(
  store: Store,
  blobs: BlobStore,
  options: { readonly roots: readonly string[]; readonly engine: EngineOptions },
) {
  async function local(
    name: string,
    source: Omit<Source, 'columns'>,
    columns: Source['columns'],
  ): Promise<LocalSource> {
    const file = await locateSource(source, options.roots, blobs);
    const { format, csvDelimiter } = source;
    return { name, file, format, csvDelimiter, columns };
  }
  return {
    engine: options.engine,
    /** Which columns the file of a source has. */
    async inspect(name: string, source: Omit<Source, 'columns'>): Promise<Source['columns']> {
      return describeSource(options.engine, await local(name, source, []));
    },
    /** The file of a stored source, with the columns it had when it was applied. */
    async open(name: string): Promise<LocalSource> {
      const held = await store.sources.get(name);
      if (!held) throw wrongState(`${name} does not exist`, 'SOURCE_MISSING');
      return local(name, held.doc, held.doc.columns);
    },
  };
}

export type Sources = ReturnType<typeof createSources>;

/** The source of a view as a job reads it; undefined for a view of pushed rows alone. */
export async function openView(sources: Sources, view: FeatureView): Promise<LocalSource | undefined> {
  return view.source === '' ? undefined : sources.open(view.source);
}

/** A SELECT of the rows of a view's source, as of `viewRows`. */
export async function batchRows(engine: Engine, view: FeatureView, source: LocalSource): Promise<string> {
  const sql = view.sql.trim() === '' ? '' : await checkSelect(engine, view.sql, 'sql');
  return viewRows(view, viewPlan(view), transformed(source, sql));
}

/** A SELECT of all rows of a view, those of its source and those that were pushed up to a time. */
export async function allRows(
  engine: Engine,
  view: FeatureView,
  source: LocalSource | undefined,
  pushes: Pushes,
  options: { readonly table: string; readonly untilUs: number },
): Promise<string> {
  const plan = viewPlan(view);
  const parts = source ? [await batchRows(engine, view, source)] : [];
  const pushed = pushes.tables(view, options.untilUs);
  const loaded = await loadTables(engine, options.table, view.columns, pushed);
  if (loaded > 0 || !source) {
    const columns = list(view.columns.map(({ name, type }) => castColumn(name, type)));
    parts.push(viewRows(view, plan, `SELECT ${columns} FROM ${ident(options.table)}`));
  }
  return parts.join(' UNION ALL ');
}
