/** Writes until the disk fails it, then reports what the store says: run with a limit on the size of files. */
import { newId, openDocuments } from '../src/index.ts';
import { item, items } from './subject.ts';

const fatal: string[] = [];
const store = await openDocuments({
  url: process.argv[2]!,
  collections: [items],
  onFatal: (error) => fatal.push(error.code),
});
const docs = store.collection(items);
const codeOf = async (write: Promise<unknown>) =>
  write.then(
    () => 'ok',
    (caught) => caught.code as string,
  );
const note = 'x'.repeat(10_000);
const acknowledged: string[] = [];
let write = 'ok';
for (let i = 0; write === 'ok' && i < 1000; i++) {
  const id = newId();
  write = await codeOf(docs.insert(id, { ...item('g'), note }));
  if (write === 'ok') acknowledged.push(id);
}
const next = await codeOf(docs.insert(newId(), item('g')));
const check = await codeOf(store.check());
const found = await docs.getMany(acknowledged);
const readable = found.filter((doc) => doc?.doc.note === note).length;
process.stdout.write(
  JSON.stringify({ write, next, check, fatal, readable, acknowledged: acknowledged.length }),
);
process.kill(process.pid, 'SIGKILL');
