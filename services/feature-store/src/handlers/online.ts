import { names } from '@millrace/contracts';
import * as wire from '@millrace/contracts/features';
import { invalidField, notFound } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { mutate } from '@millrace/service';
import { readBatch } from '../batch.ts';
import type { FeatureView } from '../domain/definition.ts';
import { keyOf } from '../domain/key.ts';
import { checkRows } from '../domain/pushed.ts';
import { resolve, viewsOf } from '../domain/reference.ts';
import { columnOf, type Table } from '../domain/table.ts';
import { maxTimeUs } from '../domain/time.ts';
import { loadViews } from '../jobs/training-set.ts';
import { microsOf } from '../messages.ts';
import type { KeyState } from '../online/key-cache.ts';
import { readColumns } from '../online/read.ts';
import { generationOf, onlineId } from '../online/write.ts';
import type { HandlerParts } from './context.ts';
import { responseOf, type Vector } from './feature-vector.ts';

type Service = Handlers<typeof wire.FeatureStoreService>;

const maxPushRows = 100_000;
const maxKeys = 10_000;
/** Rows times features of one read, so that an answer fits its message. */
const maxValues = 500_000;

/** Pushes and online reads. */
export function onlineHandlers(parts: HandlerParts) {
  const { store, pushes, cache, now } = parts;

  const pushRows: Service['pushRows'] = (request, context) => {
    const { project } = names.featureView.parse(request.view, 'view');
    const io = { input: wire.PushRowsRequestSchema, output: wire.PushRowsResponseSchema };
    return mutate(
      { ledger: store.ledger, method: context.method, project, ...io },
      request,
      async (mutation) => {
        const held = await store.views.get(request.view);
        if (!held) throw notFound(request.view);
        const view = held.doc;
        const table = checkRows(view, readBatch(request.rows!, 'rows', maxPushRows), 'rows');
        if (table.rowCount === 0) return { viewVersion: view.version };
        const { keyCount } = await pushes.push({ view, name: request.view, table, ...mutation });
        const rowCount = BigInt(table.rowCount);
        return { rowCount, keyCount: BigInt(keyCount), viewVersion: view.version };
      },
    );
  };

  const getOnlineFeatures: Service['getOnlineFeatures'] = async (request) => {
    const { project } = names.project.parse(request.parent, 'parent');
    const keys = readBatch(request.keys!, 'keys', maxKeys);
    const views = await loadViews(store, project, viewsOf(request.features, 'features'));
    const taken: string[] = [];
    const wanted = resolve(request.features, views, {
      full: request.fullFeatureNames,
      taken,
      field: 'features',
    });
    const width = wanted.reduce((sum, w) => sum + w.features.length, 0);
    if (width * keys.rowCount > maxValues) {
      throw invalidField(
        'keys.row_count',
        `${keys.rowCount} rows of ${width} features`,
        `${maxValues} values`,
      );
    }
    const times = timesOf(request, keys, now());
    const vectors: Vector[] = [];
    for (const { view, features } of wanted) {
      const states = await statesOf(idsOf(view, keys));
      const featureNames = features.map(({ feature }) => feature.name);
      const columns = readColumns(view, featureNames, states, times);
      for (const [i, { feature, column: name, place }] of features.entries()) {
        const { name: own, type } = feature;
        const of = { feature: `${view.view}:${own}`, viewVersion: view.version, name, type };
        vectors[place] = { ...of, column: columns[i]! };
      }
    }
    return responseOf(keys.rowCount, vectors);
  };

  /** The state of each row's key; undefined where the store has none. */
  async function statesOf(ids: readonly (string | undefined)[]): Promise<readonly (KeyState | undefined)[]> {
    if (!ids.includes(undefined)) return cache.get(ids as readonly string[]);
    const found = await cache.get(ids.filter((id) => id !== undefined));
    let next = 0;
    return ids.map((id) => (id === undefined ? undefined : found[next++]));
  }

  return { pushRows, getOnlineFeatures } satisfies Partial<Service>;
}

/** The time at which each row's features are wanted. */
function timesOf(request: wire.GetOnlineFeaturesRequest, keys: Table, nowMs: number): readonly number[] {
  if (request.atColumn === '') {
    const at = request.at ? microsOf(request.at, 'at') : nowMs * 1000;
    return new Array<number>(keys.rowCount).fill(at);
  }
  const column = columnOf(keys, request.atColumn);
  if (column?.type !== 'timestamp') {
    throw invalidField(
      'at_column',
      `keys have no column ${request.atColumn} of type timestamp`,
      'such a column',
    );
  }
  return column.cells.map((cell, row) => {
    const us = Number(cell);
    if (cell !== null && Math.abs(us) <= maxTimeUs) return us;
    throw invalidField('at_column', `row ${row} has no usable time`, 'years from 1684 to 2255');
  });
}

/** The document of each row's key; undefined where a part of the key is null. */
function idsOf(view: FeatureView, keys: Table): readonly (string | undefined)[] {
  const columns = view.joinKeys.map(({ name, type }) => {
    const column = columnOf(keys, name);
    if (column?.type === type) return column.cells;
    const wrong = column ? `${name} is ${column.type}` : `there is no column ${name}`;
    throw invalidField('keys.columns', `${wrong}, which ${view.view} needs`, `${name} of type ${type}`);
  });
  const generation = generationOf(view);
  return Array.from({ length: keys.rowCount }, (_, row) => {
    const key = keyOf(columns.map((cells) => cells[row] ?? null));
    return key === undefined ? undefined : onlineId(generation, key);
  });
}
