import { invalidField } from '@millrace/errors';
import { type FeatureView, featuresOf, type ViewColumn } from './definition.ts';

/** Features of one view that were asked for, in the order asked. */
export interface Wanted {
  readonly view: FeatureView;
  readonly features: readonly {
    readonly feature: ViewColumn;
    readonly column: string;
    readonly place: number;
  }[];
}

/** The ids of the views that are named by references of the form `view:feature`. */
export function viewsOf(references: readonly string[], field: string): readonly string[] {
  return [...new Set(references.map((reference, i) => split(reference, `${field}[${i}]`)[0]))];
}

/**
 * Resolves references. `column` is the name in the answer: the feature's, or with its view's before it when `full`.
 * Names must be unique among themselves and differ from `taken`.
 */
export function resolve(
  references: readonly string[],
  views: ReadonlyMap<string, FeatureView>,
  options: { readonly full: boolean; readonly taken: readonly string[]; readonly field: string },
): readonly Wanted[] {
  const columns = new Set(options.taken);
  const wanted = new Map<string, { view: FeatureView; features: Wanted['features'][number][] }>();
  let place = 0;
  references.forEach((reference, i) => {
    const path = `${options.field}[${i}]`;
    const [viewId, name] = split(reference, path);
    const view = views.get(viewId);
    if (!view) throw invalidField(path, `there is no feature view ${viewId}`, 'the views of the project');
    const all = featuresOf(view);
    const chosen = name === '*' ? all : all.filter((f) => f.name === name);
    if (chosen.length === 0) {
      throw invalidField(
        path,
        `${viewId} has no feature ${name}`,
        all
          .map((f) => f.name)
          .slice(0, 50)
          .join(', '),
      );
    }
    const group = wanted.get(viewId) ?? { view, features: [] };
    wanted.set(viewId, group);
    for (const feature of chosen) {
      const column = options.full ? `${viewId}__${feature.name}` : feature.name;
      if (columns.has(column)) {
        throw invalidField(path, `there are two columns ${column}`, 'unique names; full_feature_names helps');
      }
      columns.add(column);
      group.features.push({ feature, column, place: place++ });
    }
  });
  return [...wanted.values()];
}

function split(reference: string, path: string): readonly [string, string] {
  const [view = '', name = '', ...rest] = reference.split(':');
  if (view === '' || name === '' || rest.length > 0) {
    throw invalidField(path, JSON.stringify(reference.slice(0, 80)), 'view:feature or view:*');
  }
  return [view, name];
}
