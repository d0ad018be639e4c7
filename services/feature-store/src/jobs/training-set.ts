import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import type { BlobStore } from '@millrace/blobs';
import { names } from '@millrace/contracts';
import { ColumnBatchSchema } from '@millrace/contracts/common';
import { featuresEvents } from '@millrace/contracts/features-events';
import { isCoded, wrongState } from '@millrace/errors';
import { draft } from '@millrace/events';
import { readBatch } from '../batch.ts';
import { type FeatureView, viewPlan } from '../domain/definition.ts';
import type { ColumnRole, ResultColumn, TrainingSet } from '../domain/job.ts';
import { resolve, viewsOf, type Wanted } from '../domain/reference.ts';
import { type Engine, withEngine } from '../duckdb/engine.ts';
import { checkSelect } from '../duckdb/guard.ts';
import { loadTables } from '../duckdb/load.ts';
import { joinView } from '../duckdb/point-in-time.ts';
import { ident, list, literal } from '../duckdb/quote.ts';
import { castColumn, type LocalSource, micros, transformed } from '../duckdb/relation.ts';
import { statisticsOf } from '../duckdb/statistics.ts';
import { trainingSetMessage } from '../job-messages.ts';
import type { Pushes } from '../online/pushes.ts';
import { allRows, openView, type Sources } from '../sources.ts';
import type { Store } from '../store/store.ts';
import type { JobKind } from './runner.ts';

export interface TrainingSetParts {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly sources: Sources;
  readonly pushes: Pushes;
  now(): number;
}

/** Most entity rows given in a request. */
export const maxInlineRows = 1_000_000;

/** The job that joins features to entity rows. It starts over after a crash; nothing of it is seen before its end. */
export function trainingSetJob(parts: TrainingSetParts): JobKind<TrainingSet> {
  const { store, blobs, sources, pushes, now } = parts;

  const tell = (id: string, stage: string, progress: number) =>
    store.trainingSets.change(id, (doc) => ({ doc: { ...doc, stage, progress } }));

  async function run(id: string, set: TrainingSet, signal: AbortSignal): Promise<Partial<TrainingSet>> {
    const views = await loadViews(store, set.project, viewsOf(set.features, 'training_set.features'));
    const wanted = resolve(set.features, views, {
      full: set.fullNames,
      taken: set.entityColumns.map((c) => c.name),
      field: 'training_set.features',
    });
    const opened = new Map<string, LocalSource | undefined>();
    for (const { view } of wanted) opened.set(view.uid, await openView(sources, view));
    const own = set.entityRows.kind === 'query' ? await sources.open(set.entityRows.source) : undefined;
    const files = [own, ...opened.values()].filter((source) => source !== undefined);
    const work = async (engine: Engine) => {
      await tell(id, 'reading entity rows', 0.02);
      const untilUs = await loadEntityRows(engine, set, wanted, own);
      for (const [i, { view, features }] of wanted.entries()) {
        await tell(id, `joining ${view.view}`, 0.1 + (0.7 * i) / wanted.length);
        const rows = await allRows(engine, view, opened.get(view.uid), pushes, {
          table: `pushed_${i}`,
          untilUs,
        });
        const asked = new Set(features.map((f) => f.feature.name));
        await joinView(engine, { view, plan: viewPlan(view), wanted: asked, rows }, `joined_${i}`);
      }
      await tell(id, 'writing', 0.82);
      const { digest, sizeBytes, rowCount } = await writeResult(engine, set, wanted, signal);
      await tell(id, 'describing', 0.9);
      const columns: ResultColumn[] = [];
      for (const column of columnsOf(set, wanted)) {
        columns.push({ ...column, statistics: await statisticsOf(engine, 'result', column) });
      }
      const viewVersions = wanted.map(({ view }) => ({
        view: names.featureView.format({ project: view.project, view: view.view }),
        version: view.version,
      }));
      return { digest, sizeBytes, rowCount, columns, viewVersions, stage: '', progress: 1 };
    };
    return withEngine(sources.engine, files, work, signal);
  }

  /** Loads `entity_given` (the rows as given) and `entity_rows` (as the joins want them); the latest time among them. */
  async function loadEntityRows(
    engine: Engine,
    set: TrainingSet,
    wanted: readonly Wanted[],
    source: LocalSource | undefined,
  ): Promise<number> {
    const { entityRows } = set;
    let select = 'SELECT * FROM given';
    if (entityRows.kind === 'rows') {
      const bytes = await blobs.bytes(entityRows.digest);
      const table = readBatch(fromBinary(ColumnBatchSchema, bytes), 'training_set.rows', maxInlineRows);
      await loadTables(engine, 'given', table.columns, [table]);
    } else {
      const { sql } = entityRows;
      const checked = sql.trim() === '' ? '' : await checkSelect(engine, sql, 'training_set.query.sql');
      select = transformed(source!, checked);
    }
    const columns = set.entityColumns.map((c) => castColumn(c.name, c.type));
    await engine.run(
      `CREATE TEMP TABLE entity_given AS SELECT row_number() OVER () AS mr_rid, ${list(columns)} FROM (${select})`,
    );
    const keys = new Set(wanted.flatMap(({ view }) => view.joinKeys.map((k) => k.name)));
    const kept = ['mr_rid', `${micros(set.timestampColumn)} AS mr_t`, ...[...keys].map(ident)];
    await engine.run(`CREATE TEMP TABLE entity_rows AS SELECT ${list(kept)} FROM entity_given`);
    const found = await engine.columns('SELECT count(*), count(mr_t), max(mr_t) FROM entity_rows');
    const [count = 0, timed = 0, last = 0] = found.map((column) => Number(column[0] ?? 0));
    if (timed < count) {
      const wrong = `${count - timed} of ${count} entity rows have no time in ${set.timestampColumn}`;
      throw wrongState(`${wrong}; every row needs one`, 'ENTITY_ROWS_WITHOUT_TIME');
    }
    return last;
  }

  async function writeResult(
    engine: Engine,
    set: TrainingSet,
    wanted: readonly Wanted[],
    signal: AbortSignal,
  ) {
    const features = wanted.flatMap(({ features: of }, i) =>
      of.map((f) => ({ ...f, sql: `joined_${i}.${ident(f.feature.name)} AS ${ident(f.column)}` })),
    );
    features.sort((a, b) => a.place - b.place);
    const columns = [...set.entityColumns.map((c) => `g.${ident(c.name)}`), ...features.map((f) => f.sql)];
    const joins = wanted.map((_, i) => `LEFT JOIN joined_${i} ON joined_${i}.rid = g.mr_rid`);
    await engine.run(
      `CREATE TEMP TABLE result AS SELECT ${list(columns)} FROM entity_given g ${joins.join(' ')} ORDER BY g.mr_rid`,
    );
    const file = join(engine.folder, 'result.parquet');
    await engine.run(`COPY result TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`);
    const stored = await blobs.put(createReadStream(file), { signal });
    const [[rowCount]] = (await engine.columns('SELECT count(*) FROM result')) as [[unknown]];
    return { ...stored, rowCount: Number(rowCount) };
  }

  const about = (id: string, doc: TrainingSet, version: number) => ({
    project: doc.project,
    resource: id,
    timeMs: now(),
    data: { trainingSet: trainingSetMessage({ id, doc, version }) },
  });

  /** Tells of a complete set; without its columns where their statistics would outgrow an event. */
  function created(id: string, doc: TrainingSet, version: number) {
    try {
      return draft(featuresEvents.trainingSetCreated, about(id, doc, version));
    } catch (error) {
      if (!isCoded(error, 'EVENT_TOO_LARGE')) throw error;
      return draft(featuresEvents.trainingSetCreated, about(id, { ...doc, columns: [] }, version));
    }
  }

  return {
    collection: store.trainingSets,
    run,
    began: () => [],
    ended: (...of) => [
      of[1].state === 'failed' ? draft(featuresEvents.trainingSetFailed, about(...of)) : created(...of),
    ],
  };
}

/** The columns of the result, in order. */
function columnsOf(set: TrainingSet, wanted: readonly Wanted[]): Omit<ResultColumn, 'statistics'>[] {
  const keys = new Set(wanted.flatMap(({ view }) => view.joinKeys.map((k) => k.name)));
  const roleOf = (name: string): ColumnRole => {
    if (set.labelColumns.includes(name)) return 'label';
    if (name === set.timestampColumn) return 'timestamp';
    return keys.has(name) ? 'join_key' : 'extra';
  };
  const own = set.entityColumns.map((c) => ({ ...c, role: roleOf(c.name), feature: '' }));
  const joined = wanted.flatMap(({ view, features }) =>
    features.map((f) => ({
      place: f.place,
      column: {
        name: f.column,
        type: f.feature.type,
        role: 'feature' as const,
        feature: `${view.view}:${f.feature.name}`,
      },
    })),
  );
  return [...own, ...joined.sort((a, b) => a.place - b.place).map((j) => j.column)];
}

/** The views of a project by id; those that do not exist are left out. */
export async function loadViews(
  store: Store,
  project: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, FeatureView>> {
  const held = await store.views.known(ids.map((view) => names.featureView.format({ project, view })));
  const found = new Map<string, FeatureView>();
  held.forEach((view, i) => {
    if (view) found.set(ids[i]!, view);
  });
  return found;
}
