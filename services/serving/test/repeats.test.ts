import { ColumnType } from '@millrace/contracts/common';
import { servingEvents } from '@millrace/contracts/serving-events';
import { defineCollection, type EventLog, openDocuments } from '@millrace/documents';
import { draft } from '@millrace/events';
import { expect, it } from 'vitest';
import { createRepeats } from '../src/serve/repeats.ts';

const source = {
  project: 'p',
  deployment: 'd',
  modelVersion: 'm/versions/1',
  shadow: false,
  sampleRate: 1,
};
const record = { requestId: 'r', rows: 0, eventTimesUs: [], entities: [], inputs: [], outputs: [] };
const emptyLog = { last: async () => 0 } as EventLog;

it('a try that overtakes another has its outcome, and what failed is logged by the next try', async () => {
  const repeats = await createRepeats(emptyLog);
  let writes = 0;
  const disk = Promise.withResolvers<void>();
  const write = () => {
    writes += 1;
    return writes === 1 ? disk.promise : Promise.resolve();
  };
  const tries = [repeats.once(source, record, write), repeats.once(source, record, write)];
  disk.reject(new Error('full'));
  const outcomes = await Promise.allSettled(tries);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  for (let i = 0; i < 3; i++) await repeats.once(source, record, write);
  expect(writes).toBe(2);
});

const notes = defineCollection({ name: 'notes', fields: {}, indexes: [] });
const deployment = 'projects/default/deployments/d';
const modelVersion = 'projects/default/models/m/versions/1';

it('what was logged lately is known after a start, also where it was large', async () => {
  const documents = await openDocuments({ url: 'sqlite::memory:', collections: [notes] });
  const texts = Array.from({ length: 12 }, (_, i) => String(i).padStart(900_000, 'x'));
  for (const [i, text] of texts.entries()) {
    const column = { name: 'text', type: ColumnType.STRING, strings: [text] };
    const data = {
      deployment,
      modelVersion,
      requestIds: [`q${i}`],
      inputs: { columns: [column], rowCount: 1 },
    };
    const emit = [
      draft(servingEvents.inferenceLogged, { project: 'default', resource: deployment, timeMs: 0, data }),
    ];
    await documents.collection(notes).upsert('note', () => ({ doc: { i }, emit }));
  }
  const repeats = await createRepeats(documents.events);
  const logged: string[] = [];
  for (const [i, text] of texts.entries()) {
    const inputs = [{ heads: { type: 'string' as const, names: ['text'], joined: 'text' }, values: [text] }];
    const again = { requestId: `q${i}`, rows: 1, eventTimesUs: [0], entities: [], inputs, outputs: [] };
    await repeats.once({ ...source, deployment, modelVersion }, again, async () => void logged.push(text));
  }
  expect(logged).toEqual([]);
  await documents.close();
});
