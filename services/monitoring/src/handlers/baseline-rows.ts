import { names } from '@millrace/contracts';
import type { CreateBaselineRequest } from '@millrace/contracts/monitoring';
import { invalidField } from '@millrace/errors';
import type { ColumnData } from '../domain/column.ts';
import { bytesOf, fromBatch, joinColumns } from '../store/column-codec.ts';
import type { Context } from './context.ts';

/** Reading a training set may take this long. */
const readMs = 120_000;
/** What the rows of a baseline may take: its columns are sorted in memory. */
const maxBaselineBytes = 256 * 1024 * 1024;

/** The rows a baseline is made of, by column. INVALID_FIELD when they are too many. */
export async function readRows(
  request: CreateBaselineRequest,
  { features }: Pick<Context, 'features'>,
  maxBytes = maxBaselineBytes,
): Promise<{ source: string; columns: ColumnData[] }> {
  const { rows } = request;
  if (rows.case === 'batch') return { source: '', columns: fromBatch(rows.value, 'batch') };
  if (rows.case !== 'trainingSet') throw invalidField('rows', 'are not given', 'training_set or batch');
  if (
    names.trainingSet.parse(rows.value, 'training_set').project !==
    names.project.parse(request.parent).project
  )
    throw invalidField('training_set', 'is of another project', `a training set of ${request.parent}`);
  const parts = new Map<string, ColumnData[]>();
  let bytes = 0;
  let rowCount = 0;
  // Leaving the loop ends the call.
  for await (const page of features.readTrainingSet({ name: rows.value }, { deadlineMs: readMs })) {
    rowCount += page.rows?.rowCount ?? 0;
    for (const column of fromBatch(page.rows, 'training_set')) {
      bytes += bytesOf(column);
      const before = parts.get(column.name);
      if (before) before.push(column);
      else parts.set(column.name, [column]);
    }
    if (bytes > maxBytes) {
      const what = `its first ${rowCount} rows take more than ${maxBytes} bytes`;
      throw invalidField('training_set', what, 'fewer rows or columns: a sample serves as well');
    }
  }
  return { source: rows.value, columns: [...parts.values()].map(joinColumns) };
}
