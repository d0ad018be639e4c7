import { featuresEvents } from '@millrace/contracts/features-events';
import { type CodedError, wrongState } from '@millrace/errors';
import { draft } from '@millrace/events';
import { type FeatureView, viewPlan } from '../domain/definition.ts';
import type { Entry } from '../domain/history.ts';
import type { Materialization } from '../domain/job.ts';
import { type Cell, reachUs, type ViewPlan } from '../domain/plan.ts';
import { batchRowsSql } from '../duckdb/batch-rows.ts';
import { type Engine, withEngine } from '../duckdb/engine.ts';
import type { Columns } from '../duckdb/protocol.ts';
import { list } from '../duckdb/quote.ts';
import { materializationMessage } from '../job-messages.ts';
import type { Pushes } from '../online/pushes.ts';
import { type BatchRun, generationOf, type KeyRows, type OnlineWriter } from '../online/write.ts';
import { batchRows, type Sources } from '../sources.ts';
import { all, type Store } from '../store/store.ts';
import type { JobKind } from './runner.ts';

export interface MaterializeParts {
  readonly store: Store;
  readonly sources: Sources;
  readonly pushes: Pushes;
  readonly writer: OnlineWriter;
  readonly horizonUs: number;
  now(): number;
}

const writeWidth = 256;
/** Rows that wait to be written together. */
const mostHeld = 200_000;
/** Numbers, times included, of one key's rows: its document holds no more, and they are in memory together. */
const mostOfKey = 4_000_000;

/** The job that brings a source's rows into the online store. What is in already, it leaves; so it can be run again. */
export function materializeJob(parts: MaterializeParts): JobKind<Materialization> {
  const { store, sources, pushes, writer, horizonUs, now } = parts;

  async function run(
    id: string,
    job: Materialization,
    signal: AbortSignal,
  ): Promise<Partial<Materialization>> {
    const view = (await store.views.get(job.view))?.doc;
    if (!view || view.uid !== job.viewUid || view.version !== job.viewVersion) {
      throw wrongState('the view changed after the materialization was asked for; ask again', 'VIEW_CHANGED');
    }
    await pushes.carryOver(view);
    if (view.source === '') return {};
    const plan = viewPlan(view);
    const source = await sources.open(view.source);
    const range = rangeOf(job, view, plan, horizonUs);
    const batch: BatchRun = { run: id, endUs: job.endUs, full: job.full, ...range };
    const counts = await withEngine(
      sources.engine,
      [source],
      async (engine) => {
        const rows = await batchRows(engine, view, source);
        const found = await gather(
          engine,
          view,
          batchRowsSql(view, plan, rows, { ...range, endUs: job.endUs }),
        );
        let written = 0;
        let told = now();
        for await (const part of grouped(engine, view, plan)) {
          signal.throwIfAborted();
          await Promise.all(part.map((rows) => writer.materialize(view, plan, rows, batch)));
          written += part.length;
          if (now() - told < 500) continue;
          told = now();
          await store.materializations.change(id, (doc) => ({
            doc: { ...doc, ...found, keysWritten: written },
          }));
        }
        return { ...found, keysWritten: written };
      },
      signal,
    );
    if (job.full) await clearOthers(view, batch);
    await store.views.change(job.view, (doc) => {
      const last = job.full ? null : doc.materializedUs;
      const until = Math.max(last ?? Number.NEGATIVE_INFINITY, job.endUs);
      if (doc.uid !== view.uid || doc.version !== view.version || until === doc.materializedUs)
        return undefined;
      return { doc: { ...doc, materializedUs: until } };
    });
    return counts;
  }

  async function clearOthers(view: FeatureView, batch: BatchRun): Promise<void> {
    for await (const { doc } of all(store.online, { where: { generation: generationOf(view) } })) {
      if (doc.batch !== null && doc.batchRun !== batch.run) await writer.clear(view, doc.key, batch);
    }
  }

  const about = (id: string, doc: Materialization, version: number) => ({
    project: doc.project,
    resource: id,
    timeMs: now(),
    data: { materialization: materializationMessage({ id, doc, version }) },
  });

  return {
    collection: store.materializations,
    run,
    began: (...of) => [draft(featuresEvents.materializationStarted, about(...of))],
    ended: (...of) => [
      of[1].state === 'failed'
        ? draft(featuresEvents.materializationFailed, about(...of))
        : draft(featuresEvents.materializationFinished, about(...of)),
    ],
  };
}

interface Range {
  /** Rows after this are read, of older ones only the newest of each key. */
  readonly unreadUs: number;
  readonly tailUs: number;
  readonly replace: boolean;
}

/** Which rows are needed: on from the last time, or at first as far back as windows and exact reads reach. */
function rangeOf(job: Materialization, view: FeatureView, plan: ViewPlan, horizonUs: number): Range {
  const reach = reachUs(plan, horizonUs);
  const tailUs = reach - horizonUs;
  const asked = job.startUs ?? Number.NEGATIVE_INFINITY;
  const last = job.full ? null : view.materializedUs;
  const unreadUs = Math.max(job.startUs === null && last !== null ? last : asked, job.endUs - reach);
  // Where rows lie between the last end and this start that nobody read, what was there before is of no use.
  return { unreadUs, tailUs, replace: last === null || unreadUs > last };
}

/** Reads the rows into the table `batch_rows`, in order of keys. */
async function gather(
  engine: Engine,
  view: FeatureView,
  sql: string,
): Promise<{ readonly rowsRead: number; readonly keysTotal: number }> {
  await engine.run(sql);
  const keys = view.joinKeys.map((_, i) => `k${i}`);
  const [[read], [total]] = (await engine.columns(
    `SELECT count(*), count(DISTINCT (${list(keys)})) FROM batch_rows`,
  )) as [[unknown], [unknown]];
  return { rowsRead: Number(read), keysTotal: Number(total) };
}

function keyTooLarge(view: FeatureView): CodedError {
  const keys = view.joinKeys.map(({ name }) => name).join(', ');
  const message = `a value of ${keys} has more than ${mostOfKey} numbers in the time that online reads need; use shorter windows, or keys of fewer rows`;
  return wrongState(message, 'KEY_TOO_LARGE');
}

/** The rows of `batch_rows` by key, some keys at a time. */
async function* grouped(engine: Engine, view: FeatureView, plan: ViewPlan): AsyncGenerator<KeyRows[]> {
  const keyCount = view.joinKeys.length;
  const firstMeasure = keyCount + 2;
  const firstPlain = firstMeasure + plan.measures.length;
  let ready: KeyRows[] = [];
  let held = 0;
  let current: { key: string; raw: number[]; entries: Entry[] } | undefined;
  const close = () => {
    if (current) ready.push({ ...current, raw: Float64Array.from(current.raw) });
  };
  for await (const columns of engine.chunks('SELECT * FROM batch_rows')) {
    const rowCount = columns[0]?.length ?? 0;
    for (let row = 0; row < rowCount; row++) {
      // Rows come in order of keys, so the key's text is made when one begins.
      if (row === 0 || !isSameKey(columns, keyCount, row)) {
        const key = JSON.stringify(Array.from({ length: keyCount }, (_, i) => columns[i]![row]));
        if (current?.key !== key) {
          close();
          if (ready.length >= writeWidth || held >= mostHeld) {
            yield ready;
            ready = [];
            held = 0;
          }
          current = { key, raw: [], entries: [] };
        }
      }
      if (!current) continue;
      held += 1;
      if (current.raw.length >= mostOfKey) throw keyTooLarge(view);
      const timeUs = columns[keyCount]![row] as number;
      current.raw.push(timeUs);
      for (let i = firstMeasure; i < firstPlain; i++) {
        current.raw.push((columns[i]![row] as number | null) ?? Number.NaN);
      }
      if (plan.plain.length === 0) continue;
      const cells = plan.plain.map((_, i) => columns[firstPlain + i]![row] as Cell);
      current.entries.push({ timeUs, createdUs: columns[keyCount + 1]![row] as number | null, cells });
    }
  }
  close();
  if (ready.length > 0) yield ready;
}

/** Whether a row has the same key as the one before. */
function isSameKey(columns: Columns, keyCount: number, row: number): boolean {
  for (let i = 0; i < keyCount; i++) if (columns[i]![row] !== columns[i]![row - 1]) return false;
  return true;
}
