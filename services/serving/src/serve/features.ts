import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ColumnType } from '@millrace/contracts/common';
import type { FeatureStoreService } from '@millrace/contracts/features';
import { CodedError, from } from '@millrace/errors';
import type { Client } from '@millrace/rpc';
import type { FeatureQuery, FeatureValues, LookupSpec, NamedColumn } from '../domain/lookup.ts';
import { columnValues } from './column-values.ts';

/** Looks features up; see `lookup.ts`. */
export type FeatureReader = (
  project: string,
  query: FeatureQuery,
  lookup: LookupSpec,
  options: { readonly deadlineMs: number; readonly signal: AbortSignal },
) => Promise<FeatureValues>;

/** The column of keys that carries each row's time. No join key is called so: it is no identifier. */
const timeColumn = 'event time of the row';

/** Reads from the feature store: one call for all rows and features. */
export function createFeatureReader(
  store: Client<typeof FeatureStoreService>,
  timeoutMs: number,
): FeatureReader {
  return async (project, query, lookup, { deadlineMs, signal }) => {
    if (query.features.length === 0 || query.rows === 0) return new Map();
    try {
      const times = query.timesMs;
      const same = times?.every((time) => time === times[0]) ? times[0] : undefined;
      const columns = query.keys.map(keyColumn);
      const each = times && same === undefined;
      if (each)
        columns.push({
          name: timeColumn,
          type: ColumnType.TIMESTAMP,
          int64s: times.map((t) => BigInt(Math.round(t * 1000))),
        });
      const answer = await store.getOnlineFeatures(
        {
          parent: `projects/${project}`,
          features: [...query.features],
          // Two views may have features of the same name.
          fullFeatureNames: true,
          keys: { rowCount: query.rows, columns },
          ...(same === undefined ? {} : { at: timestampFromMs(same) }),
          ...(each ? { atColumn: timeColumn } : {}),
        },
        { deadlineMs: Math.max(1, Math.min(timeoutMs, deadlineMs - Date.now())), signal },
      );
      return new Map(answer.features.map(({ feature, values }) => [feature, columnValues(values)]));
    } catch (error) {
      const coded = from(error);
      const unreachable = coded.kind === 'unavailable' || coded.kind === 'deadline_exceeded';
      if (unreachable && lookup.onFailure === 'use-defaults' && !signal.aborted) return new Map();
      if (unreachable || coded.kind === 'internal') throw lookupFailed(coded);
      throw coded;
    }
  };
}

interface KeyColumn {
  name: string;
  type: ColumnType;
  strings?: string[];
  int64s?: bigint[];
}

function keyColumn({ name, values }: NamedColumn): KeyColumn {
  if (typeof values[0] === 'string') return { name, type: ColumnType.STRING, strings: values.map(String) };
  return { name, type: ColumnType.INT64, int64s: values.map((value) => BigInt(value as number | bigint)) };
}

function lookupFailed(cause: CodedError): CodedError {
  const message = 'the features of this request could not be looked up; retry';
  return new CodedError('unavailable', 'LOOKUP_FAILED', message, {
    cause,
    retryAfterMs: cause.retryAfterMs ?? 500,
  });
}
