/** Runs SQLite's own check of a file on a thread of its own, for it reads every page. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

const db = new DatabaseSync(workerData as string, { readOnly: true });
const rows = db.prepare('PRAGMA integrity_check(10)').all();
db.close();
parentPort?.postMessage(rows.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok'));
