import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DocumentStore, newId, openDocuments } from '@millrace/documents';
import { type TempDir, tempDir } from '@millrace/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCapacity } from '../src/engine/capacity.ts';
import { createJumps } from '../src/engine/jumps.ts';
import { createShards } from '../src/engine/shards.ts';
import { deadPredecessor } from '../src/executor/predecessor.ts';
import { lineReader } from '../src/executor/protocol.ts';

describe('capacity', () => {
  const need = (cpu: number, memoryBytes = 0) => ({ cpu, memoryBytes });
  test('is never exceeded, but one task that asks for more than there is runs alone', () => {
    let freed = 0;
    const capacity = createCapacity({ cpu: 1, memoryBytes: 100 }, () => {
      freed += 1;
    });
    expect(Array.from({ length: 11 }, (_, i) => capacity.take(`t${i}`, need(0.1)))).toEqual([
      ...Array(10).fill(true),
      false,
    ]);
    for (let i = 0; i < 10; i++) capacity.give(`t${i}`);
    // Only the first giving back is told: nobody was turned away after it.
    expect(freed).toBe(1);
    expect(capacity.take('big', need(64, 1000))).toBe(true);
    expect([capacity.hasRoom(), capacity.take('small', need(0.1))]).toEqual([false, false]);
    capacity.give('big');
    expect([freed, capacity.take('a', need(0.1, 60)), capacity.take('b', need(0.1, 60))]).toEqual([
      2,
      true,
      false,
    ]);
  });
});

test('lines between the orchestrator and its supervisor survive a chunk that ends within a character', () => {
  const lines: unknown[] = [];
  const read = lineReader((line) => lines.push(line));
  for (const byte of Buffer.from('{"argv":["Zürich ✈"]}\n')) read(Buffer.of(byte));
  expect(lines).toEqual([{ argv: ['Zürich ✈'] }]);
});

test('jumps of the clock are told by what they happened in, and slow steering is none', () => {
  let [wallMs, steadyMs] = [1_000_000, 0];
  const after = () => () => {};
  const jumps = createJumps({ now: () => wallMs, timers: { after, monotonicMs: () => steadyMs } });
  const pass = (ms: number, jumpMs = 0) => {
    steadyMs += ms;
    wallMs += ms + jumpMs;
  };
  jumps.begin('a');
  pass(5000, 3_600_000);
  jumps.begin('b');
  pass(5000, 300);
  expect(['a', 'b', 'from before'].map((what) => jumps.since(what))).toEqual([3_600_300, 0, 3_600_300]);
  pass(5000, -7_200_000);
  expect(jumps.since('b')).toBe(-7_199_700);
});

describe('shards', () => {
  let folder: TempDir;
  let store: DocumentStore;
  beforeEach(async () => {
    folder = tempDir();
    store = await openDocuments({ url: `sqlite:${join(folder.path, 'd.db')}`, collections: [] });
  });
  afterEach(async () => {
    await store.close();
    await folder.remove();
  });
  const open = async (replica: string, monotonicMs?: () => number) => {
    const owner = newId();
    const predecessor = await deadPredecessor(join(folder.path, replica), owner);
    return createShards({
      leases: store.leases,
      owner,
      count: 4,
      leaseMs: 60_000,
      ...(predecessor === undefined ? {} : { predecessor }),
      ...(monotonicMs ? { monotonicMs } : {}),
    });
  };

  test('belong to one replica, and go to another when they are given back', async () => {
    const [one, two] = [await open('one'), await open('two')];
    await one.renew();
    await two.renew();
    expect([one.owns('x'), two.owns('x')]).toEqual([true, false]);
    await one.release();
    await two.renew();
    expect([one.owns('x'), two.owns('x')]).toEqual([false, true]);
  });

  test('of a dead process of the same folder are free at once', async () => {
    const dead = newId();
    for (let shard = 0; shard < 4; shard++)
      await store.leases.acquire(`orchestrator-shard-${shard}`, dead, 60_000);
    mkdirSync(join(folder.path, 'one'));
    writeFileSync(
      join(folder.path, 'one/instance.json'),
      JSON.stringify({ owner: dead, pid: 2 ** 22 + 1, start: '1' }),
    );
    const one = await open('one');
    await one.renew();
    expect(['a', 'b', 'c', 'd', 'e'].every((key) => one.owns(key))).toBe(true);
  });

  test('are shared out although the note of the process before was cut short by a power cut', async () => {
    mkdirSync(join(folder.path, 'one'));
    writeFileSync(join(folder.path, 'one/instance.json'), '');
    const one = await open('one');
    await one.renew();
    expect(one.owns('x')).toBe(true);
  });

  test('are not ours any more when the lease ran out by our own clock', async () => {
    let now = 0;
    const one = await open('one', () => now);
    await one.renew();
    now = 60_001;
    expect(one.owns('x')).toBe(false);
  });
});
