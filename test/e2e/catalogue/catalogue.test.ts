import { listDeadLetters } from '@millrace/events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { swapUnderLoad } from '../hot-swap.ts';
import { closesTheLoop } from '../loop.ts';
import { absurdData, envelope, listeners, nonsense, publishAll, samples } from './events.ts';
import { accessRows } from './rows-access.ts';
import { fileRows } from './rows-files.ts';
import { leakRows } from './rows-leaks.ts';
import { loadRows } from './rows-load.ts';
import { commandRows, valueRows } from './rows-values.ts';
import { type Session, startSession } from './session.ts';

/** The bad-input catalogue on one suite of real processes; README.md says where each of its rows is covered. */
let started: Session;
const session = () => started;

beforeAll(async () => {
  started = await startSession();
});
// Whatever a test did, every service is there and serves.
afterEach(() => started.expectAllServing());
afterAll(() => started?.stop());

describe('events', () => {
  it('that are none, or hold what cannot be, reach no further than the dead letters', async () => {
    await closesTheLoop(session().millrace, session().readings);
    const consumers = await listeners(session().bus);
    // Who is missing here is not attacked.
    expect([...new Set(consumers.map(({ durable }) => durable.split('-')[0]))].toSorted()).toEqual([
      'monitoring',
      'pipelines',
      'registry',
      'serving',
      'tracking',
    ]);
    const real = await samples(session().bus);
    const types = [...new Set(consumers.flatMap((one) => one.types))];
    const nonsenses = types.flatMap(nonsense);
    await publishAll(session().bus, session().suite.nats.url, nonsenses, consumers);
    const dead = await listDeadLetters(session().bus, { limit: 5_000 });
    const expected =
      consumers.reduce((sum, { types: of }) => sum + of.length, 0) * nonsense(types[0]!).length;
    expect(dead.length).toBe(expected);
    for (const [i, type] of types.entries()) {
      const data = await absurdData(type, real.get(type) ?? [], 20_010_604 + i);
      const messages = data.map((bytes, n) => envelope(type, 'default', `h${i}-${n}`, bytes));
      await publishAll(session().bus, session().suite.nats.url, messages, consumers);
    }
    for (const { reason, code } of await listDeadLetters(session().bus, { limit: 20_000 })) {
      expect(['EVENT_UNDECODABLE', 'INVALID_FIELD', 'TOO_LARGE', 'INVALID_NAME']).toContain(code);
      expect(reason).not.toMatch(/node_modules|\n\s+at |\.ts:\d|\/tmp\//);
    }
  }, 120_000);

  it('that are good are handled behind them, all the way round', async () => {
    await swapUnderLoad(session().millrace, { order: [2] });
    const second = session().inProject('second');
    await closesTheLoop(second, session().readings);
    second.close();
  }, 120_000);
});

accessRows(session);
fileRows(session);
valueRows(session);
commandRows(session);
leakRows(session);
loadRows(session);
