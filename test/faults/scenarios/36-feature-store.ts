import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { SourceFormat } from '@millrace/contracts/features';
import { connect, type Millrace } from '@millrace/sdk';
import { freePort, type Race, startService, tempDir } from '@millrace/testing';
import { diedEarly } from '../died-early.ts';
import {
  askOffline,
  askOnline,
  declare,
  firstMs,
  type Known,
  knownOf,
  machines,
  materialize,
  type Question,
  type Reading,
  readingOf,
  rowsOf,
  spanMs,
  viewName,
} from '../feature-load.ts';
import { insist } from '../insist.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated } from '../tally.ts';

const writers = 8;
const batchRows = 5;
/** A machine may be slow in coming to a race point; a life without it is killed at any moment, which tests less. */
const mostLifeMs = 20_000;

/**
 * Writers push readings while the feature store is killed between what it writes offline and what it brings online: of
 * pushes, of rows carried over to a new version of the view, of a materialization. Writers whose requests cannot be told
 * from one another, because they have no id, need a single kill.
 */
async function killBetween(chance: Chance, knows: boolean): Promise<Outcome> {
  await using roots = tempDir('millrace-roots-');
  await using data = tempDir('millrace-features-');
  const options = {
    dataDir: data.path,
    port: await freePort(),
    env: {
      NATS_URL: 'nats://127.0.0.1:1',
      SOURCE_ROOTS: roots.path,
      JOB_LEASE_MS: '1000',
      LOG_LEVEL: 'error',
    },
  };
  const services = { features: `127.0.0.1:${options.port}` };
  const millrace = connect({ endpoints: { services }, project: 'default' });
  const readings = Array.from({ length: 600 }, () => readingOf(chance));
  const lines = readings.map((one) => `${one.machine},${new Date(one.atMs).toISOString()},${one.value}`);
  writeFileSync(join(roots.path, 'log.csv'), ['machine,at,value', ...lines, ''].join('\n'));

  /** One life of the service, until its race point or a while after. */
  const live = async (race: Race | undefined, act: () => Promise<void>) => {
    const starting = startService('feature-store', race ? { ...options, race } : options);
    await using service = (await starting.catch(diedEarly)) ?? null;
    await act();
    if (!service) return;
    await (race ? Promise.race([service.reached, sleep(mostLifeMs)]) : sleep(chance.between(50, 500)));
    await service.kill9();
  };
  const kill = (point: string, most: number): Race => ({
    point,
    nth: chance.between(1, most),
    signal: 'kill',
  });

  let stopping = false;
  let working: Promise<readonly Reading[]>[] = [];
  let asked: Promise<void> = Promise.resolve();
  try {
    await live(kill('features.push-recorded', 40), async () => {
      await insist(() =>
        millrace.features.applySource({
          source: {
            name: `${millrace.parent}/sources/log`,
            location: { case: 'path', value: 'log.csv' },
            format: SourceFormat.CSV,
          },
        }),
      );
      await declare(millrace, 1);
      working = Array.from({ length: writers }, (_, writer) =>
        push(millrace, writer, { chance, knows, isOver: () => stopping }),
      );
    });
    if (knows) {
      await live(kill('features.push-partly-online', 60), async () => {
        asked = declare(millrace, 2);
      });
      await live(chance.pick([undefined, kill('documents.after-commit', 40)]), async () => {});
      await live(kill('features.job-begun', 1), async () => {
        // Not waited for: a job of the new version may be the one that is killed.
        asked = asked.then(() => materialize(millrace, 'materialization'));
      });
    }
    await using last = await startService('feature-store', options);
    stopping = true;
    const pushed = (await Promise.all(working)).flat();
    await asked;
    if (!knows) await materialize(millrace, 'materialization');
    const outcome = await compare(millrace, [...readings, ...pushed], chance);
    // In order it would wait for NATS first.
    await last.kill9();
    return outcome;
  } finally {
    stopping = true;
    await Promise.allSettled([...working, asked]);
    millrace.close();
  }
}

interface Writing {
  readonly chance: Chance;
  readonly knows: boolean;
  isOver(): boolean;
}

/** Pushes batch after batch until it is over; answers the readings, all of them acknowledged. */
async function push(millrace: Millrace, writer: number, { chance, knows, isOver }: Writing) {
  const acknowledged: Reading[] = [];
  for (let batch = 0; !isOver(); batch++) {
    const readings = Array.from({ length: batchRows }, () => readingOf(chance));
    const rows = rowsOf(readings);
    const requestId = knows ? `push-${writer}-${batch}` : '';
    await insist(() => millrace.features.pushRows({ view: viewName(millrace), rows, requestId }));
    acknowledged.push(...readings);
  }
  return acknowledged;
}

/** Asks online and offline about machines at moments, and compares with what is known by going through all readings. */
async function compare(millrace: Millrace, readings: readonly Reading[], chance: Chance): Promise<Outcome> {
  const moments = [...Array.from({ length: 4 }, () => chance.between(0, spanMs)), spanMs];
  const questions: Question[] = machines.flatMap((machine) =>
    moments.map((after) => ({ machine, atMs: firstMs + after })),
  );
  const [online, offline] = await Promise.all([
    askOnline(millrace, questions),
    askOffline(millrace, questions),
  ]);
  let [lost, doubled] = [0, 0];
  const breaches: string[] = [];
  const say = (what: string, { machine, atMs }: Question, is: Known, should: Known) =>
    breaches.push(
      `${what} of ${machine} at ${atMs - firstMs} ms: ${is.join(', ')}, not ${should.join(', ')}`,
    );
  questions.forEach((question, i) => {
    const known = knownOf(readings, question);
    if (question.atMs === firstMs + spanMs) {
      lost += Math.max(0, known[0] - online[i]![0]);
      doubled += Math.max(0, online[i]![0] - known[0]);
    }
    if (!isDeepStrictEqual(online[i], offline[i])) say('online', question, online[i]!, offline[i]!);
    if (!isDeepStrictEqual(offline[i], known)) say('offline', question, offline[i]!, known);
  });
  return { checked: readings.length, lost, doubled, breaches };
}

export const scenario: Scenario = {
  number: 36,
  name: 'kill -9 of the feature store between its offline and its online writes',
  invariant: 'each row counts once, online equals offline at any time, nothing from the future',
  run: (chance) => killBetween(chance, true),
  control: (chance) => repeated(3, () => killBetween(chance, false)),
};
