import { digestOf } from '@millrace/blobs';
import { openDocuments } from '@millrace/documents';
import { referencedBlobs } from '@millrace/service';
import { tempDir } from '@millrace/testing';
import { expect, test } from 'vitest';
import { collections, pushes, sources, trainingSets } from '../src/store/collections.ts';
import { blobReferences } from '../src/store/references.ts';

test('uploaded sources, large pushes and both sides of training sets refer to blobs', async () => {
  await using folder = tempDir();
  const documents = await openDocuments({ url: `sqlite:${folder.path}/documents.db`, collections });
  const [source, pushed, rows, result] = ['source', 'pushed', 'rows', 'result'].map((text) =>
    digestOf(Buffer.from(text)),
  );
  const insert = (spec: { name: string }, docs: readonly object[]) =>
    Promise.all(
      docs.map((doc, n) => documents.collection(spec as typeof sources).insert(`${n}`, doc as never)),
    );
  const project = 'default';
  await insert(sources, [
    { project, location: { kind: 'blob', digest: source } },
    { project, location: { kind: 'path', path: 'log.csv' } },
  ]);
  await insert(pushes, [
    { project, uid: 'a', digest: pushed },
    { project, uid: 'a', digest: '' },
  ]);
  await insert(trainingSets, [
    { project, createdMs: 1, entityRows: { kind: 'rows', digest: rows }, digest: '' },
    { project, createdMs: 2, entityRows: { kind: 'query', source: 's', sql: '' }, digest: result },
  ]);
  const found: string[] = [];
  for await (const digest of referencedBlobs(documents, blobReferences)) found.push(digest);
  expect(found.sort()).toEqual([source, pushed, rows, result].sort());
  await documents.close();
});
