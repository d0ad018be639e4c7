import { cp, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { connectBus } from '@millrace/events';
import { connect, type Millrace } from '@millrace/sdk';
import { startNats, startService, type TestNats, type TestService, tempDir, until } from '@millrace/testing';
import { restore } from '../fixtures/dump.ts';
import { createRun, logBatch, tellLife } from '../fixtures/story.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { storeFileOf } from '../store-file.ts';
import { readEvents } from '../streams.ts';
import { tally } from '../tally.ts';

/** What releases before this one wrote, kept for ever; see `fixtures/freeze.ts`. */
const fixture = join(import.meta.dirname, '../fixtures/layout-1');
const names = ['tracking', 'registry'] as const;
type Name = (typeof names)[number];

/** Puts the kept data where the services look; `spoil` changes the SQL first. */
async function thaw(root: string, spoil: (sql: string) => string): Promise<void> {
  for (const name of names) {
    const file = storeFileOf({ name, dataDir: join(root, name) });
    await mkdir(dirname(file), { recursive: true });
    restore(spoil(await readFile(join(fixture, `${name}.sql`), 'utf8')), file);
  }
  await cp(join(fixture, 'registry-blobs'), join(root, 'registry/registry/blobs'), { recursive: true });
}

/** Opens the kept data with this release, killed in the middle of the first try, and reads what is there. */
async function upgrade(spoil: (sql: string) => string): Promise<Outcome> {
  await using folder = tempDir('millrace-upgrade-');
  await using nats = await startNats();
  await thaw(folder.path, spoil);
  // The kept data is older than any retention.
  const env = { NATS_URL: nats.url, EVENT_RETENTION_DAYS: '36500', LOG_LEVEL: 'warn' };
  const place = (name: Name) => ({ env, dataDir: join(folder.path, name) });
  const breaches: string[] = [];
  const layouts = (expected: string, when: string) => {
    for (const name of names) {
      const found = layoutOf(storeFileOf({ name, dataDir: place(name).dataDir }));
      if (String(found) !== expected) breaches.push(`${name} has layout ${found} ${when}, not ${expected}`);
    }
  };

  const race = { point: 'documents.mid-migration', signal: 'kill' } as const;
  const outlived = names.map(async (name) => {
    const began = startService(name, { ...place(name), race });
    const ended = await began.then((service) => service.stop()).catch(() => 'killed');
    if (ended !== 'killed') breaches.push(`${name} did not migrate`);
  });
  await Promise.all(outlived);
  layouts('1', 'after a kill in the middle of the migration');

  const expected: string[] = JSON.parse(await readFile(join(fixture, 'life.json'), 'utf8'));
  let told: readonly string[] = [];
  for (let life = 1; life <= 2; life++) {
    const [tracking, registry] = await Promise.all([
      startService('tracking', place('tracking')),
      startService('registry', place('registry')),
    ]);
    const millrace = clientOf({ tracking, registry });
    await retry(millrace, expected, breaches);
    told = await tellLife(millrace);
    millrace.close();
    breaches.push(...(await missingInStreams(nats, expected)));
    await Promise.all([tracking.stop(), registry.stop()]);
    layouts('2', `after life ${life}`);
  }
  breaches.push(...(await downgrade(place('tracking'))));
  // Life goes on: what waited is published, and others answer it. That adds events.
  const known = new Set(expected);
  const later = (line: string) => line.includes(' event ') && !known.has(line);
  const outcome = tally(
    expected,
    told.filter((line) => !later(line)),
  );
  return { ...outcome, breaches: [...outcome.breaches, ...breaches] };
}

const clientOf = (services: Readonly<Record<Name, TestService>>): Millrace =>
  connect({
    endpoints: {
      services: { tracking: services.tracking.address, registry: services.registry.address },
    },
    project: 'default',
  });

function layoutOf(file: string): unknown {
  const db = new DatabaseSync(file);
  const { user_version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  db.close();
  return user_version;
}

/** Repeats calls that the older release answered: they get the same answers. */
async function retry(millrace: Millrace, expected: readonly string[], breaches: string[]): Promise<void> {
  for (const chapter of [1, 2]) {
    const run = await createRun(millrace, chapter, `projects/default/experiments/${chapter}`);
    if (!expected.some((line) => line.startsWith(`${run} is run ${chapter}`)))
      breaches.push(`the run of chapter ${chapter} was made again as ${run}`);
    for (let batch = 0; batch < 3; batch++) await logBatch(millrace, run, batch);
  }
}

/** What the older release had not published yet is in the streams now. */
async function missingInStreams(nats: TestNats, expected: readonly string[]): Promise<string[]> {
  const bus = await connectBus({ url: nats.url, name: 'upgrade' });
  try {
    for (const name of names) {
      const published = await publishedBefore(name);
      const waiting = expected.flatMap((line) => {
        const [, sequence, id] = new RegExp(`^${name} event (\\d+) \\S+ (\\S+)$`).exec(line) ?? [];
        return Number(sequence) > published && id ? [id] : [];
      });
      const arrived = async () => {
        const ids = new Set((await readEvents(bus, name)).map(({ id }) => id));
        return waiting.every((id) => ids.has(id));
      };
      await until(arrived, { what: `the waiting events of ${name} in its stream`, timeoutMs: 60_000 });
    }
    return [];
  } catch (error) {
    return [String(error)];
  } finally {
    await bus.close();
  }
}

/** How far the relay of the older release came: what comes after that was waiting. */
async function publishedBefore(name: Name): Promise<number> {
  const sql = await readFile(join(fixture, `${name}.sql`), 'utf8');
  return Number(new RegExp(`'relay-${name}', (\\d+)`).exec(sql)?.[1]);
}

/** A release that is older than the data says so, and does not touch them. */
async function downgrade(place: { env: Record<string, string>; dataDir: string }): Promise<string[]> {
  const db = new DatabaseSync(storeFileOf({ name: 'tracking', dataDir: place.dataDir }));
  db.exec('PRAGMA user_version = 3');
  db.close();
  const refusal = await startService('tracking', place).then(
    async (service) => {
      await service.stop();
      return 'it started';
    },
    (error: Error) => error.message,
  );
  const clear = /code 1 before.*has layout 3, this release knows up to 2; start the newer release/s;
  return clear.test(refusal) ? [] : [`data of a newer release are not refused clearly: ${refusal}`];
}

export const scenario: Scenario = {
  number: 39,
  name: 'data of the release before are opened, with a kill in the middle of the migration',
  invariant: 'all of it is there and migrated once, retries are known, a downgrade is refused',
  run: () => upgrade((sql) => sql),
  // Data that lost some rows on the way.
  control: () => upgrade((sql) => sql.replaceAll(/^INSERT INTO "events" VALUES \([34],.*$/gm, '')),
};
