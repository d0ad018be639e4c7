import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { newId, openDocuments } from '../src/index.ts';
import { documentsContract } from './contract.ts';
import { sqliteFaults } from './sqlite-faults.ts';

// Slow disks and busy machines are no failures.
vi.setConfig({ testTimeout: 30_000 });

const folder = mkdtempSync(join(tmpdir(), 'millrace-documents-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const subject = { name: 'SQLite', freshUrl: async () => `sqlite:${join(folder, newId(), 'store.db')}` };
documentsContract(subject);
sqliteFaults(subject);

test.skipIf(process.platform === 'win32')('a store is opened through a link to its file', async () => {
  const url = await subject.freshUrl();
  const store = await openDocuments({ url, collections: [] });
  const link = join(folder, 'link.db');
  symlinkSync(url.slice('sqlite:'.length), link);
  const linked = await openDocuments({ url: `sqlite:${link}`, collections: [] });
  await store.cursors.set('read', 7);
  expect(await linked.cursors.get('read')).toBe(7);
  await linked.close();
  await store.close();
});
