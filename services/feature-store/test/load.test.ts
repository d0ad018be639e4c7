import { tempDir } from '@millrace/testing';
import { expect, it } from 'vitest';
import type { Table } from '../src/domain/table.ts';
import { withEngine } from '../src/duckdb/engine.ts';
import { loadTables } from '../src/duckdb/load.ts';
import { engineIn } from './harness.ts';

it('tables are loaded one after the other: the next is made when the one before is in the engine', async () => {
  await using dir = tempDir();
  await withEngine(engineIn(dir.path), [], async (engine) => {
    const column = { name: 'v', type: 'int64' as const };
    async function* tables(): AsyncGenerator<Table> {
      for (let made = 0; made < 5; made++) {
        const found = await engine.columns('SELECT count(*) FROM pushed_loaded');
        expect(Number(found[0]![0])).toBe(made * 100);
        const cells = Array.from({ length: 100 }, (_, i) => BigInt(i));
        yield { rowCount: 100, columns: [{ ...column, cells }] };
      }
    }
    expect(await loadTables(engine, 'pushed', [column], tables())).toBe(500);
  });
});
