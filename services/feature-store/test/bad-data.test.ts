import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { EventLogService } from '@millrace/contracts/common';
import { JobState, SourceFormat } from '@millrace/contracts/features';
import { featuresEvents } from '@millrace/contracts/features-events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, type TestNats } from '@millrace/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parent, prepare, readings, startStore, type TestStore } from './harness.ts';

let nats: TestNats;
let store: TestStore;
beforeAll(async () => {
  nats = await startNats();
  store = await startStore(nats.url);
  await prepare(store);
});
afterAll(async () => {
  await store.close();
  await nats.kill();
});

/** Runs a materialization to its end; its error, and that of the event that tells of it. */
async function failure(view: string) {
  const made = await store.client.createMaterialization({
    parent,
    materialization: { view, endTime: { seconds: 1_000_000_000n } },
  });
  const { name } = made.materialization!;
  for await (const { materialization } of store.client.watchMaterialization({ name }))
    if (materialization!.state === JobState.SUCCEEDED) throw new Error('it succeeded');
  const transport = grpcTransport({ address: store.address });
  const log = createClient(EventLogService, transport, { deadlineMs: 5000 });
  const { type, schema } = featuresEvents.materializationFailed;
  const { events } = await log.listEvents({ types: [type], pageSize: 100 });
  transport.close();
  const told = events.filter((event) => event.resource === name).map(({ data }) => fromBinary(schema, data));
  const { materialization } = await store.client.getMaterialization({ name });
  return [materialization?.error, told[0]?.materialization?.error];
}

const jsonLine = '{"machine":"m1","seen":"2001-06-01 00:00:00","reading":1.5}\n';
const csvLine = 'm1,2001-06-01 00:00:00,1.5\n';
const csvHead = 'machine,seen,reading\n';

it.each([
  [
    'cut',
    SourceFormat.JSON_LINES,
    '',
    jsonLine,
    '{"machine":',
    'Malformed JSON in file %s, at byte 13 in line 120002',
  ],
  [
    'text',
    SourceFormat.JSON_LINES,
    '',
    jsonLine,
    jsonLine.replace('1.5', '"x"'),
    'in file %s, in line 12000',
  ],
  ['word', SourceFormat.CSV, csvHead, csvLine, 'm1,2001-06-01 00:00:00,x', 'CSV Error on Line: 120002 of %s'],
  ['wide', SourceFormat.CSV, csvHead, csvLine, 'm1,1,2,3', 'CSV Error on Line: 120002 of %s'],
])(
  'a bad line behind the sample is told with its source and number, and no path: %s',
  async (id, format, head, good, bad, text) => {
    const file = `${id}.${format === SourceFormat.CSV ? 'csv' : 'jsonl'}`;
    const content = Buffer.from(`${head}${good.repeat(120_000)}${bad}\n`);
    writeFileSync(join(store.roots, file), content);
    const name = `${parent}/sources/${id}`;
    await store.client.applySource({ source: { name, location: { case: 'path', value: file }, format } });
    const view = readings({ name: `${parent}/featureViews/${id}`, source: name });
    await store.client.applyFeatureView({ featureView: view });
    for (const error of await failure(view.name)) {
      expect(error).toMatchObject({
        code: 'BAD_DATA',
        message: expect.stringContaining(text.replace('%s', name)),
      });
      expect(error?.message).not.toContain(store.dir);
      expect(error?.message).not.toMatch(/\/tmp|\/blobs|jsonl?"|\.csv/);
    }
  },
);

it('a source that was spoilt after it was applied is told by its name to whoever selects from it', async () => {
  const name = `${parent}/sources/spoilt`;
  const location = { case: 'path' as const, value: 'spoilt.jsonl' };
  writeFileSync(join(store.roots, 'spoilt.jsonl'), jsonLine);
  await store.client.applySource({ source: { name, location, format: SourceFormat.JSON_LINES } });
  writeFileSync(join(store.roots, 'spoilt.jsonl'), `${jsonLine}{"machine":\n`);
  const view = readings({ name: `${parent}/featureViews/spoilt`, source: name, sql: 'select * from source' });
  const error = await store.client.applyFeatureView({ featureView: view }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    kind: 'invalid_argument',
    message: expect.stringContaining(`file ${name}, `),
  });
  expect((error as Error).message).not.toContain(store.dir);
});
