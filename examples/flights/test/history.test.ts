import { dirname } from 'node:path';
import { FeatureStatus, JobState } from '@millrace/contracts/features';
import { columnOf, connect, numbersOf, toBatch } from '@millrace/sdk';
import { startNats, startService } from '@millrace/testing';
import { expect, test } from 'vitest';
import { lookedUp, parquet } from '../data.ts';
import { materialize } from '../history.ts';
import { applyFeatures } from '../resources.ts';

const liveMs = Date.UTC(2001, 5, 4);
const keys = toBatch({
  origin: { type: 'string', values: ['ORD', 'ATL', 'LAX', 'ORD'] },
  route: { type: 'string', values: ['ORD-LGA', 'ATL-DFW', 'LAX-PHX', 'ORD-DEN'] },
  asked: { type: 'timestamp', values: [0, 10, 60, 600].map((minutes) => liveMs + minutes * 60_000) },
});

test('the first flights of the replay are looked up with all that had landed before, as in a training set', async () => {
  await using nats = await startNats();
  const env = { NATS_URL: nats.url, SOURCE_ROOTS: dirname(parquet) };
  await using service = await startService('feature-store', { env });
  const millrace = connect({ endpoints: { services: { features: service.address } }, project: 'default' });
  const { features, parent } = millrace;
  await applyFeatures(millrace, liveMs);
  await materialize(millrace, liveMs);
  const online = await features.getOnlineFeatures({
    parent,
    features: lookedUp,
    keys,
    atColumn: 'asked',
    fullFeatureNames: true,
  });

  const { trainingSet } = await features.createTrainingSet({
    parent,
    trainingSet: {
      features: lookedUp,
      entityRows: { case: 'rows', value: keys },
      timestampColumn: 'asked',
      fullFeatureNames: true,
    },
    requestId: 'offline',
  });
  const { name } = trainingSet!;
  for await (const { trainingSet: set } of features.watchTrainingSet({ name }, { deadlineMs: 60_000 }))
    if (set && set.state >= JobState.SUCCEEDED) break;
  const offline = new Map<string, number[]>();
  for await (const { rows } of features.readTrainingSet({ name }))
    for (const { name: column } of rows?.columns ?? [])
      if (column.includes('__')) offline.set(column, [...numbersOf(columnOf(rows!, column))]);

  expect(online.features.length).toBe(lookedUp.length);
  for (const { values } of online.features)
    expect([values!.name, [...numbersOf(values!)]]).toEqual([values!.name, offline.get(values!.name)]);
  const counted = online.features.filter(({ feature }) => feature.includes('flights_24h'));
  for (const { values, statuses } of counted) {
    expect(statuses).not.toContain(FeatureStatus.NOT_FOUND);
    expect(Math.min(...numbersOf(values!))).toBeGreaterThan(0);
  }
  millrace.close();
}, 60_000);
