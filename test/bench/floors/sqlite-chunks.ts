/** Bare SQLite in a process of its own: reads the binary columns of every batch. Arguments: file, table. Out: milliseconds. */
import { DatabaseSync } from 'node:sqlite';

const db = new DatabaseSync(process.argv[2] ?? '', { readOnly: true });
const select = db.prepare(`SELECT bytes FROM "${process.argv[3]}"`);

process.on('message', () => {
  const begun = performance.now();
  let bytes = 0;
  for (const row of select.iterate()) bytes += (row.bytes as Uint8Array).byteLength;
  if (bytes === 0) throw new Error('nothing was read');
  process.send?.(performance.now() - begun);
});
process.stdout.write('{"ready":true}\n');
