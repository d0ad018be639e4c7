import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createRequestLedger, openDocuments } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-ledger-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const open = () => openDocuments({ url: `sqlite:${join(folder, 'store.db')}`, collections: [] });
const bytes = (text: string) => new TextEncoder().encode(text);
const call = (requestId: string, body = 'body') => ({
  method: 'millrace.tracking.v1.RunService/CreateRun',
  project: 'default',
  requestId,
  body: bytes(body),
});

describe('request ledger', () => {
  test('the same request is run once and answered alike, also after a restart', async () => {
    const store = await open();
    const ledger = createRequestLedger(store);
    let runs = 0;
    const run = async (id: string) => {
      runs += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return bytes(id);
    };
    const [first, second] = await Promise.all([ledger.once(call('a'), run), ledger.once(call('a'), run)]);
    expect(first).toEqual(second);
    await store.close();
    const again = await open();
    expect(await createRequestLedger(again).once(call('a'), run)).toEqual(first);
    expect(runs).toBe(1);
    // Another method or project is another request.
    await createRequestLedger(again).once({ ...call('a'), project: 'p2' }, run);
    await createRequestLedger(again).once({ ...call('a'), method: 'm' }, run);
    expect(runs).toBe(3);
    await again.close();
  });

  test('the same id with another body is refused, also while the first is under way', async () => {
    const store = await open();
    const ledger = createRequestLedger(store);
    const refused = { code: 'REQUEST_ID_REUSED', kind: 'already_exists' };
    const slow = ledger.once(call('b'), async () => bytes('answer'));
    await expect(ledger.once(call('b', 'other'), async () => bytes(''))).rejects.toMatchObject(refused);
    await slow;
    await expect(ledger.once(call('b', 'other'), async () => bytes(''))).rejects.toMatchObject(refused);
    await store.close();
  });

  test('a call that failed runs again with the same reserved id', async () => {
    const store = await open();
    const ledger = createRequestLedger(store);
    const ids: string[] = [];
    const failing = ledger.once(call('c'), async (id) => {
      ids.push(id);
      throw new Error('crash');
    });
    await expect(failing).rejects.toThrow('crash');
    const answer = await createRequestLedger(store).once(call('c'), async (id) => {
      ids.push(id);
      return bytes('done');
    });
    expect(ids[1]).toBe(ids[0]);
    expect(answer).toEqual(bytes('done'));
    await store.close();
  });

  test('without a request id every call runs with an id of its own; old calls are swept', async () => {
    const store = await open();
    const ledger = createRequestLedger(store);
    const ids = new Set<string>();
    for (let i = 0; i < 3; i++)
      await ledger.once(call(''), async (id) => {
        ids.add(id);
        return bytes(id);
      });
    expect(ids.size).toBe(3);
    await ledger.once(call('d'), async () => bytes('1'));
    expect(await ledger.sweep(Date.now() + 1)).toBeGreaterThan(0);
    expect(await ledger.once(call('d'), async () => bytes('2'))).toEqual(bytes('2'));
    await store.close();
  });
});
