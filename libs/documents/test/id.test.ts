import { describe, expect, it } from 'vitest';
import { newId } from '../src/index.ts';

describe('ids', () => {
  it('are UUIDs of version 7, each greater than all before it, with other random bits', () => {
    const ids = Array.from({ length: 20_000 }, newId);
    for (const [i, id] of ids.entries()) {
      expect(id).toMatch(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
      if (i > 0) expect(id > ids[i - 1]!).toBe(true);
    }
    expect(new Set(ids.map((id) => id.slice(17))).size).toBe(ids.length);
    const ms = Number.parseInt(ids[0]!.slice(0, 12), 16);
    expect(Math.abs(ms - Date.now())).toBeLessThan(60_000);
  });
});
