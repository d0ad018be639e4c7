import { CodedError, unavailable } from '@millrace/errors';
import { MongoError, MongoNetworkError, MongoServerError, MongoWriteConcernError } from 'mongodb';

/**
 * Server codes after which a write may or may not have been done: elections, shutdowns, lost hosts, time-outs.
 * Source: the retryable codes of the MongoDB driver specifications.
 */
const inDoubtCodes = new Set([6, 7, 64, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436]);
const inDoubtLabels = ['RetryableWriteError', 'TransientTransactionError', 'UnknownTransactionCommitResult'];

/** Whether a write that failed so may have been done all the same, or can be had by trying again. */
export function isInDoubt(caught: unknown): boolean {
  if (!(caught instanceof MongoError)) return false;
  if (caught instanceof MongoNetworkError || caught instanceof MongoWriteConcernError) return true;
  return inDoubtCodes.has(Number(caught.code)) || inDoubtLabels.some((label) => caught.hasErrorLabel(label));
}

/** Whether a key exists already. */
export function isDuplicate(caught: unknown): boolean {
  return caught instanceof MongoServerError && caught.code === 11000;
}

/** Whether the stored document with its pending events would outgrow what MongoDB takes. */
export function isOversize(caught: unknown): boolean {
  return caught instanceof MongoServerError && [10334, 17419, 17420].includes(Number(caught.code));
}

/** Turns an error of the driver into a coded one; others pass. */
export function mapFault(caught: unknown): unknown {
  if (!(caught instanceof MongoError)) return caught;
  // OutOfDiskSpace, and what the storage engine says of a full disk.
  if (caught.code === 14031 || /no space left on device/i.test(caught.message)) {
    const message = 'the storage has no space left; reads still work; free some and retry';
    return new CodedError('resource_exhausted', 'DISK_FULL', message, { cause: caught });
  }
  const unreachable = /^Mongo(ServerSelection|NotConnected|TopologyClosed|ClientClosed|PoolCleared)/.test(
    caught.name,
  );
  if (unreachable || isInDoubt(caught)) return unavailable('the document store', { cause: caught });
  return caught;
}

/** Runs an operation whose errors come out coded. */
export async function guard<R>(act: () => Promise<R>): Promise<R> {
  try {
    return await act();
  } catch (caught) {
    throw mapFault(caught);
  }
}
