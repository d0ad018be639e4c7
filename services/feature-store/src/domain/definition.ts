import type { AggregateFunction } from './aggregate.ts';
import { planOf, type ViewPlan } from './plan.ts';

/** The types of columns. */
export type ColumnType = 'bool' | 'int64' | 'double' | 'string' | 'timestamp';

export interface ColumnSchema {
  readonly name: string;
  readonly type: ColumnType;
}

export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** What features are about. Documents are named by their resource name, here and below. */
export interface Entity {
  readonly project: string;
  readonly joinKeys: readonly ColumnSchema[];
  readonly description: string;
  readonly tags: readonly Tag[];
}

export type SourceFormat = 'parquet' | 'csv' | 'json_lines';

type SourceLocation =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'blob'; readonly digest: `sha256:${string}` };

/** A file of rows. */
export interface Source {
  readonly project: string;
  readonly location: SourceLocation;
  readonly format: SourceFormat;
  /** Empty means a comma. */
  readonly csvDelimiter: string;
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly columns: readonly ColumnSchema[];
}

export interface PlainFeature {
  readonly name: string;
  readonly column: string;
  readonly description: string;
  readonly type: ColumnType;
}

interface AggregationSpec {
  readonly name: string;
  readonly fn: AggregateFunction;
  readonly column: string;
  readonly windowUs: number;
  /** As given; null means the default. */
  readonly places: number | null;
  readonly description: string;
}

/** Features of some entities. */
export interface FeatureView {
  readonly project: string;
  /** The view's id in its project. */
  readonly view: string;
  /** Tells apart views that had the same name one after another. */
  readonly uid: string;
  /** Resource names. */
  readonly entities: readonly string[];
  /** A resource name, or empty for a view of pushed rows alone. */
  readonly source: string;
  readonly sql: string;
  readonly timestampColumn: string;
  /** Empty when there is none. */
  readonly createdColumn: string;
  /** 0 means any age. */
  readonly ttlUs: number;
  readonly features: readonly PlainFeature[];
  readonly aggregations: readonly AggregationSpec[];
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly columns: readonly ColumnSchema[];
  readonly version: number;
  readonly joinKeys: readonly ColumnSchema[];
  /** Up to where the source was materialized in this version. */
  readonly materializedUs: number | null;
}

/** A feature of a view as both paths answer it. */
export interface ViewColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** The view's features in their order: plain ones, then windows. */
export function featuresOf(view: FeatureView): readonly ViewColumn[] {
  return [
    ...view.features.map(({ name, type }) => ({ name, type })),
    ...view.aggregations.map(({ name, fn }) => ({ name, type: aggregationType(fn) })),
  ];
}

const aggregationType = (fn: AggregateFunction): ColumnType => (fn === 'count' ? 'int64' : 'double');

/** To how many decimal places values of DOUBLE columns are rounded when nothing is said. */
const defaultPlaces = 6;

/** The plan of a view; whole-number columns need no decimal places. */
export function viewPlan(view: Pick<FeatureView, 'features' | 'aggregations' | 'columns'>): ViewPlan {
  const types = new Map(view.columns.map((c) => [c.name, c.type]));
  return planOf(
    view.features.map((f) => f.column),
    view.aggregations.map((a) => ({
      ...a,
      places: types.get(a.column) === 'double' ? (a.places ?? defaultPlaces) : 0,
    })),
  );
}
