import type { EventLog } from '@millrace/documents';
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
