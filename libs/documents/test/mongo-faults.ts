import { createServer, connect as dial, type Socket } from 'node:net';
import { type Document, MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { openDocuments } from '../src/index.ts';
import { event, item, items, notes, type Subject, withStore } from './subject.ts';

/** What only the MongoDB adapter has to withstand: lost answers, and a mover that ends half-way. */
export function mongoFaults(subject: Subject): void {
  describe(`faults: ${subject.name}`, () => {
    test('a write whose answer is lost is done once', async () => {
      const url = await subject.freshUrl();
      const proxy = await startCutter(new URL(url.replace(/^mongodb/, 'http')));
      const store = await openDocuments({ url: proxy.route(url), collections: [items, notes] });
      const docs = store.collection(items);
      await docs.insert('a', item('g'));
      proxy.cutAnswers(true);
      for (let i = 0; i < 24; i++) {
        await docs.change('a', (doc) => ({ doc: { ...doc, count: doc.count + 1 }, emit: [event()] }));
        await docs.insert(`d${i}`, item('g', i), { emit: [event()] });
        if (i % 3 === 0) await docs.remove(`d${i}`, { emit: [event()] });
      }
      proxy.cutAnswers(false);
      expect(proxy.cuts()).toBeGreaterThan(3);
      expect(await docs.get('a')).toMatchObject({ version: 25, doc: { count: 24 } });
      expect(await docs.count({ group: 'g' })).toBe(17);
      const log = await store.events.read({ after: 0, limit: 1000 });
      expect(log.map((one) => one.sequence)).toEqual(Array.from({ length: 56 }, (_, i) => i + 1));
      await store.close();
      proxy.stop();
    }, 60_000);

    test('events that were moved when the mover ended are not moved again', () =>
      withRaw(subject, async (store, db) => {
        // Another holder keeps the events where they are, as a mover that was killed does.
        await store.leases.acquire('_mover', 'killed', 1000);
        const [first, second] = [event(), event()];
        await store.collection(items).insert('a', item('g'), { emit: [first] });
        await store.collection(items).change('a', (doc) => ({ doc, emit: [second] }));
        const raw = await db.collection<Document & { _id: string }>('items').findOne({ _id: 'a' });
        const { stamp: _, ...moved } = raw!.out[0];
        await db.collection<Document & { _id: number }>('_events').insertOne({ _id: 1, ...moved });
        const log = await store.events.read({ after: 0, limit: 10 });
        expect(log.map((one) => [one.sequence, one.id])).toEqual([
          [1, first.id],
          [2, second.id],
        ]);
        expect(await db.collection('items').findOne({ 'out.id': { $exists: true } })).toBeNull();
      }));

    test('a removed document stays unseen until its events are moved, and may come again meanwhile', () =>
      withRaw(subject, async (store, db) => {
        const docs = store.collection(items);
        await store.leases.acquire('_mover', 'killed', 1000);
        await docs.insert('a', item('g'), { emit: [event({ resource: '1' })] });
        await docs.insert('b', item('g'), { emit: [event({ resource: '2' })] });
        for (const id of ['a', 'b']) await docs.remove(id, { emit: [event({ resource: '3' })] });
        expect(await docs.get('a')).toBeUndefined();
        expect(await docs.getMany(['a'])).toEqual([undefined]);
        expect((await docs.find({})).items).toEqual([]);
        expect(await db.collection('items').countDocuments()).toBe(2);
        await docs.insert('b', item('g', 7), { emit: [event({ resource: '4' })] });
        const log = await store.events.read({ after: 0, limit: 10 });
        expect(log.map((one) => one.resource)).toEqual(['1', '2', '3', '3', '4']);
        expect(await db.collection('items').countDocuments()).toBe(1);
        expect(await docs.get('b')).toMatchObject({ version: 1, doc: { count: 7 } });
      }));

    test('data of a newer release is refused', () =>
      withRaw(subject, async (_store, db, url) => {
        const meta = db.collection<{ _id: string; value: number }>('_meta');
        await meta.updateOne({ _id: 'layout' }, { $set: { value: 99 } });
        const open = openDocuments({ url, collections: [items] });
        await expect(open).rejects.toMatchObject({ code: 'STORE_LAYOUT_NEWER' });
      }));

    test('a server that is not there is unavailable', async () => {
      const open = openDocuments({ url: 'mongodb://127.0.0.1:1/x', collections: [items] });
      await expect(open).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }, 20_000);
  });
}

type Db = ReturnType<MongoClient['db']>;
type Store = Parameters<Parameters<typeof withStore>[1]>[0];

/** A store together with the database beneath it. */
async function withRaw(subject: Subject, use: (store: Store, db: Db, url: string) => Promise<void>) {
  await withStore(subject, async (store, url) => {
    const client = await new MongoClient(url).connect();
    try {
      await use(store, client.db(), url);
    } finally {
      await client.close();
    }
  });
}

/** A TCP proxy that, when told to, hangs up instead of passing on every 17th answer. */
async function startCutter(target: URL) {
  let cutting = false;
  let answers = 0;
  let cuts = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = dial(Number(target.port || 27017), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (answer) => {
      answers += 1;
      if (cutting && answers % 17 === 0) {
        cuts += 1;
        client.destroy();
      } else client.write(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    route: (url: string) => url.replace(target.host, `127.0.0.1:${port}`),
    cutAnswers(on: boolean) {
      cutting = on;
    },
    cuts: () => cuts,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
