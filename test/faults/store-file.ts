import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestService } from '@millrace/testing';

/** The file in which a service on one machine keeps its documents. */
export const storeFileOf = ({ dataDir, name }: Pick<TestService, 'dataDir' | 'name'>): string =>
  join(dataDir, name, 'documents.db');

/** What SQLite itself finds wrong with the file of a service that does not run. */
export function damageOf(service: Pick<TestService, 'dataDir' | 'name'>): string[] {
  const db = new DatabaseSync(storeFileOf(service));
  try {
    const rows = db.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[];
    return rows.map((row) => row.integrity_check).filter((text) => text !== 'ok');
  } finally {
    db.close();
  }
}

/** Whether a process keeps others from writing to the file of a service: for longer than any write takes. */
export function isLocked(service: Pick<TestService, 'dataDir' | 'name'>): boolean {
  const db = new DatabaseSync(storeFileOf(service), { timeout: 500 });
  try {
    db.exec('BEGIN IMMEDIATE; ROLLBACK');
    return false;
  } catch (error) {
    if (!String(error).includes('locked')) throw error;
    return true;
  } finally {
    db.close();
  }
}
