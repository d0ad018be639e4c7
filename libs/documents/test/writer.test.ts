import { MongoError, MongoServerError } from 'mongodb';
import { describe, expect, test } from 'vitest';
import type { Stored } from '../src/mongo/stored.ts';
import { compareAndSet } from '../src/mongo/writer.ts';

type Fault = { readonly error: MongoError; readonly applied: boolean };

/**
 * Elections cannot be had from a single server, so their errors are injected between the adapter and one document
 * that is kept here.
 */
function createDocument(faults: Fault[]) {
  let stored = { version: 1, writes: [] as string[] };
  let applied = 0;
  return {
    applied: () => applied,
    documents: { findOne: async () => stored as unknown as Stored },
    write: (writeId: string, version: number) => async () => {
      const fault = faults.shift();
      const meets = stored.version === version;
      if (meets && (!fault || fault.applied)) {
        stored = { version: version + 1, writes: [...stored.writes, writeId] };
        applied += 1;
      }
      if (fault) throw fault.error;
      return meets;
    },
    other() {
      stored = { version: stored.version + 1, writes: [...stored.writes, 'other'] };
    },
  };
}

function labelled(label: string): MongoError {
  const error = new MongoError('injected');
  error.addErrorLabel(label);
  return error;
}

const serverError = (code: number) => new MongoServerError({ message: 'injected', code });

describe('writes in doubt', () => {
  const errors = {
    TransientTransactionError: () => labelled('TransientTransactionError'),
    UnknownTransactionCommitResult: () => labelled('UnknownTransactionCommitResult'),
    'stepping down': () => serverError(189),
    'not the primary': () => serverError(10107),
    'write concern timed out': () => serverError(64),
  };
  for (const [name, error] of Object.entries(errors))
    for (const applied of [true, false])
      test(`${name}, the write ${applied ? 'was' : 'was not'} done: it is done once`, async () => {
        const doc = createDocument([
          { error: error(), applied },
          { error: error(), applied: false },
        ]);
        const result = await run(doc);
        expect(doc.applied()).toBe(1);
        expect(result).toBe(2);
      });

  test('a write in doubt that another one followed is recognised', async () => {
    const doc = createDocument([{ error: serverError(189), applied: true }]);
    let looks = 0;
    const documents = {
      findOne: async () => {
        if (looks++ === 1) doc.other();
        return doc.documents.findOne();
      },
    };
    expect(await run({ ...doc, documents })).toBe(3);
    expect(doc.applied()).toBe(1);
  });

  test('an error that leaves no doubt is thrown at once', async () => {
    const doc = createDocument([{ error: serverError(14031), applied: false }]);
    await expect(run(doc)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(doc.applied()).toBe(0);
  });
});

/** Adds one version to a document; answers the version it has then. */
function run(doc: Pick<ReturnType<typeof createDocument>, 'documents' | 'write'>): Promise<number> {
  return compareAndSet(
    doc.documents,
    'a',
    'mine',
    (before) => ({ result: before!.version + 1, write: doc.write('mine', before!.version) }),
    { done: (now) => now.version, makeRoom: async () => {} },
  );
}
