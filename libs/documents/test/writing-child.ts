/** Writes documents with events until it is killed, and prints the id of each that was acknowledged. */
import { newId, openDocuments } from '../src/index.ts';
import { event, item, items, notes } from './subject.ts';

const store = await openDocuments({ url: process.argv[2]!, collections: [items, notes] });
const docs = store.collection(items);
for (;;) {
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const id = newId();
      await docs.insert(id, item('g'), { emit: [event({ resource: id })] });
      process.stdout.write(`${id}\n`);
    }),
  );
}
