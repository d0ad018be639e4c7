import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, vi } from 'vitest';
import { newId } from '../src/index.ts';
import { documentsContract } from './contract.ts';
import { sqliteFaults } from './sqlite-faults.ts';

// Slow disks and busy machines are no failures.
vi.setConfig({ testTimeout: 30_000 });

const folder = mkdtempSync(join(tmpdir(), 'millrace-documents-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const subject = { name: 'SQLite', freshUrl: async () => `sqlite:${join(folder, newId(), 'store.db')}` };
documentsContract(subject);
sqliteFaults(subject);
