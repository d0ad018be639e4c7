import type { Versioned } from '@millrace/documents';
import type { Row } from '../domain/filter/evaluate.ts';
import type { AttributeName } from '../domain/filter/syntax.ts';
import type { Run } from '../domain/run.ts';
import type { StoredRun } from './stored-run.ts';

/** What filters ask of a run besides its lists. */
type Head = Pick<Run, 'id' | 'displayName' | 'experiment' | 'status' | 'startTimeMs' | 'endTimeMs'> &
  Pick<Versioned<unknown>, 'createdAtMs' | 'updatedAtMs'>;

/** Gives the same list for the same keys, so that a great many runs share one. */
export type ShareKeys = (keys: readonly string[]) => readonly string[];

/** Values by key: both lists in the order of the keys. */
interface Column<V> {
  readonly keys: readonly string[];
  readonly values: readonly V[];
}

/** A run as the index holds it: all that filters and sort keys can name. A class, because there are hundreds of thousands. */
export class IndexedRun implements Row {
  readonly id: string;
  readonly version: number;
  readonly experiment: number;
  readonly isDeleted: boolean;
  readonly #head: Head;
  readonly #metrics: Column<number>;
  readonly #params: Column<string>;
  readonly #tags: Column<string>;

  constructor({ doc, version, createdAtMs, updatedAtMs }: Versioned<StoredRun>, share: ShareKeys) {
    const { id, displayName, experiment, status, startTimeMs, endTimeMs } = doc;
    this.id = id;
    this.version = version;
    this.experiment = experiment;
    this.isDeleted = doc.deletedAtMs !== null;
    this.#head = { id, displayName, experiment, status, startTimeMs, endTimeMs, createdAtMs, updatedAtMs };
    this.#metrics = {
      keys: share(doc.metrics.map(([key]) => key)),
      values: doc.metrics.map(([, value]) => value),
    };
    this.#params = columnOf(doc.params, share);
    this.#tags = columnOf(doc.tags, share);
  }

  /** Roughly what it takes in memory, without lists of keys, which are shared. */
  get bytes(): number {
    let bytes = 500 + 8 * this.#metrics.values.length + 2 * this.#head.displayName.length;
    for (const { values } of [this.#params, this.#tags])
      for (const value of values) bytes += 24 + 2 * value.length;
    return bytes;
  }

  metric(key: string): number | undefined {
    return lookUp(this.#metrics, key);
  }

  param(key: string): string | undefined {
    return lookUp(this.#params, key);
  }

  tag(key: string): string | undefined {
    return lookUp(this.#tags, key);
  }

  attribute(name: AttributeName): string | number | undefined {
    return attributeOf(this.#head, name);
  }
}

/** An attribute of a run; undefined where it has none. */
export function attributeOf(run: Head, name: AttributeName): string | number | undefined {
  switch (name) {
    case 'run_id':
      return run.id;
    case 'run_name':
      return run.displayName;
    case 'experiment':
      return String(run.experiment);
    case 'status':
      return run.status;
    case 'start_time':
      return run.startTimeMs ?? undefined;
    case 'end_time':
      return run.endTimeMs ?? undefined;
    case 'create_time':
      return run.createdAtMs;
    case 'update_time':
      return run.updatedAtMs;
  }
}

function columnOf(
  pairs: readonly { readonly key: string; readonly value: string }[],
  share: ShareKeys,
): Column<string> {
  return { keys: share(pairs.map(({ key }) => key)), values: pairs.map(({ value }) => value) };
}

/** The keys are sorted, so looking up is a binary search. */
function lookUp<V>({ keys, values }: Column<V>, key: string): V | undefined {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return keys[low] === key ? values[low] : undefined;
}
