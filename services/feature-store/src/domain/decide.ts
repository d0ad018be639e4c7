import { invalidField, wrongState } from '@millrace/errors';
import type { ColumnSchema, ColumnType, Entity, FeatureView, PlainFeature } from './definition.ts';
import { refuseWindow } from './window.ts';

/** Key columns hold what can be told apart exactly. */
const keyTypes: readonly ColumnType[] = ['int64', 'string'];
const measured: readonly ColumnType[] = ['bool', 'int64', 'double'];

/** Checks an entity against what it was; `inUse` names a view that uses it. */
export function decideEntity(wanted: Entity, current: Entity | undefined, inUse: string | undefined): Entity {
  const seen = new Set<string>();
  wanted.joinKeys.forEach((key, i) => {
    const path = `entity.join_keys[${i}]`;
    if (!keyTypes.includes(key.type)) throw invalidField(`${path}.type`, key.type, keyTypes.join(', '));
    if (seen.has(key.name)) throw invalidField(`${path}.name`, `${key.name} is there twice`, 'unique names');
    seen.add(key.name);
  });
  if (current && inUse && JSON.stringify(current.joinKeys) !== JSON.stringify(wanted.joinKeys)) {
    throw wrongState(`the join keys cannot change while ${inUse} uses the entity`, 'ENTITY_IN_USE');
  }
  return wanted;
}

/** What a view is to be, before it is checked. */
export type WantedView = Omit<
  FeatureView,
  'uid' | 'version' | 'joinKeys' | 'materializedUs' | 'columns' | 'features'
> & { readonly features: readonly Omit<PlainFeature, 'type'>[] };

/**
 * Checks a view against the columns of its rows and its entities, and decides whether it is a new version: whether what
 * its features are has changed.
 */
export function decideView(
  wanted: WantedView,
  current: FeatureView | undefined,
  entities: readonly Entity[],
  columns: readonly ColumnSchema[],
  uid: string,
): { readonly view: FeatureView; readonly newVersion: boolean } {
  const types = new Map(columns.map((c) => [c.name, c.type]));
  const need = (column: string, field: string, allowed: readonly ColumnType[]): ColumnType => {
    const type = types.get(column);
    const path = `feature_view.${field}`;
    if (!type) {
      throw invalidField(path, `there is no column ${column}`, [...types.keys()].slice(0, 50).join(', '));
    }
    if (!allowed.includes(type)) throw invalidField(path, `${column} is ${type}`, allowed.join(', '));
    return type;
  };
  const joinKeys = joinKeysOf(entities, need);
  need(wanted.timestampColumn, 'timestamp_column', ['timestamp']);
  if (wanted.createdColumn !== '') need(wanted.createdColumn, 'created_column', ['timestamp']);
  const names = new Set(joinKeys.map((k) => k.name));
  const unique = (name: string, field: string) => {
    if (names.has(name))
      throw invalidField(field, `${name} is there twice`, 'names that differ, also from the keys');
    names.add(name);
  };
  const every: readonly ColumnType[] = ['bool', 'int64', 'double', 'string', 'timestamp'];
  const features = wanted.features.map((f, i) => {
    unique(f.name, `feature_view.features[${i}].name`);
    return { ...f, type: need(f.column, `features[${i}].column`, every) };
  });
  wanted.aggregations.forEach((a, i) => {
    const path = `feature_view.aggregations[${i}]`;
    unique(a.name, `${path}.name`);
    if (a.column !== '') need(a.column, `aggregations[${i}].column`, measured);
    else if (a.fn !== 'count') throw invalidField(`${path}.column`, `empty for ${a.fn}`, 'a column');
    const refusal = refuseWindow(a.windowUs);
    if (refusal)
      throw invalidField(`${path}.window`, refusal, 'a multiple of its hop from 5 minutes to 366 days');
  });
  if (names.size === joinKeys.length) {
    throw invalidField('feature_view.features', 'the view has no feature', 'a feature or an aggregation');
  }
  const view = { ...wanted, features, columns, joinKeys, uid, version: 1, materializedUs: null };
  if (!current) return { view, newVersion: true };
  const newVersion = meaning(view) !== meaning(current);
  const { version, materializedUs } = current;
  return {
    view: {
      ...view,
      uid: current.uid,
      version: newVersion ? version + 1 : version,
      materializedUs: newVersion ? null : materializedUs,
    },
    newVersion,
  };
}

function joinKeysOf(
  entities: readonly Entity[],
  need: (column: string, field: string, allowed: readonly ColumnType[]) => ColumnType,
): readonly ColumnSchema[] {
  const keys = new Map<string, ColumnSchema>();
  entities.forEach((entity, i) => {
    for (const key of entity.joinKeys) {
      need(key.name, `entities[${i}]`, [key.type]);
      const other = keys.get(key.name);
      if (other && other.type !== key.type) {
        const wrong = `${key.name} has another type than in another entity`;
        throw invalidField(`feature_view.entities[${i}]`, wrong, 'one type');
      }
      keys.set(key.name, key);
    }
  });
  return [...keys.values()];
}

/** Everything that decides what a view's features are. */
function meaning(view: FeatureView): string {
  return JSON.stringify([
    view.entities,
    view.joinKeys,
    view.source,
    view.sql,
    view.timestampColumn,
    view.createdColumn,
    view.features.map((f) => [f.name, f.column, f.type]),
    view.aggregations.map((a) => [a.name, a.fn, a.column, a.windowUs, a.places]),
    view.columns.map((c) => [c.name, c.type]),
  ]);
}
