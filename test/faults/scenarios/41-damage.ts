import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { streamOf } from '@millrace/contracts';
import { EventLogService, IntegrityService } from '@millrace/contracts/common';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/contracts/grpc-health';
import { TrackingService } from '@millrace/contracts/tracking';
import { connectBus } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, until } from '@millrace/testing';
import type { Chance, Outcome, Scenario } from '../scenario.ts';

const files = 30;

export const scenario: Scenario = {
  number: 41,
  name: 'bits flipped in stored artifacts, events removed from the stream',
  invariant: 'noticed, told, refused to readers; mended from the record or by the same bytes',
  fast: true,
  run: (chance) => damageAndMend(chance, true),
  // Who does not look finds nothing: the damage is there, and a verification that reads no bytes would pass it.
  control: (chance) => damageAndMend(chance, false),
};

/** Spoils a store; `look` says whether its storage is verified before the damage is asked for. */
async function damageAndMend(chance: Chance, look: boolean): Promise<Outcome> {
  await using nats = await startNats();
  await using service = await startService('tracking', { env: { NATS_URL: nats.url } });
  const transport = grpcTransport({ address: service.address });
  const options = { deadlineMs: 30_000 };
  const tracking = createClient(TrackingService, transport, options);
  const integrity = createClient(IntegrityService, transport, options);
  const health = createClient(Health, transport, options);
  const record = createClient(EventLogService, transport, options);
  const bus = await connectBus({ url: nats.url, name: 'damage' });
  const breaches: string[] = [];
  const insist = (holds: boolean, what: string) => void (holds || breaches.push(what));

  const { run } = await tracking.createRun({ parent: 'projects/default', run: {} });
  const stored = Array.from({ length: files }, (_, n) => ({ path: `file-${n}`, bytes: randomBytes(10_000) }));
  const upload = async ({ path, bytes }: (typeof stored)[number]) => {
    async function* parts() {
      yield { part: { case: 'header' as const, value: { run: run!.name, path } } };
      yield { part: { case: 'chunk' as const, value: bytes } };
    }
    await tracking.uploadArtifact(parts());
  };
  const isRefused = async (path: string) => {
    try {
      for await (const _ of tracking.downloadArtifact({ parent: run!.name, path }));
      return false;
    } catch (error) {
      return (error as { code?: string }).code === 'DIGEST_MISMATCH';
    }
  };
  const known = async () => (await integrity.listDamages({})).damages.map(({ what }) => what);
  const eventsOf = async (type: string) =>
    (await record.listEvents({ types: [`millrace.tracking.${type}.v1`], pageSize: 1_000 })).events.length;
  const verify = async () => {
    let published = 0n;
    for await (const told of integrity.verifyStorage({})) published += told.publishedEvents;
    return Number(published);
  };

  for (const file of stored) await upload(file);
  const spoiled = stored.filter(() => chance.random() < 0.3).concat(stored[0]!);
  const victims = [...new Set(spoiled)];
  for (const { bytes } of victims) flipBit(service.dataDir, digestOf(bytes), chance);
  const manager = await bus.manager();
  const stream = streamOf('tracking').name;
  // All of them: what the relay has yet to publish would count as what came back.
  const whole = async () => {
    const { newestSequence } = await record.listEvents({ pageSize: 1 });
    return (await manager.streams.info(stream)).state.messages >= Number(newestSequence);
  };
  await until(whole, { what: 'the record in the stream' });
  for (const seq of [5, 6, 11]) await manager.streams.deleteMessage(stream, seq);

  const published = look ? await verify() : 0;
  const found = await known();
  const lost = victims.filter(({ bytes }) => !found.includes(digestOf(bytes))).length;
  if (look) {
    insist(found.length === victims.length, `${found.length} damages told, ${victims.length} made`);
    insist(published === 3, `3 events were removed from the stream, ${published} came back`);
    insist((await eventsOf('storage.damage_found')) === victims.length, 'not one event for each damage');
    await until(async () => (await health.check({ service: 'storage' })).status === Status.NOT_SERVING);
    for (const file of stored)
      insist((await isRefused(file.path)) === victims.includes(file), `${file.path} was read wrongly`);
    for (const file of victims) await upload(file);
    await verify();
    insist((await known()).length === 0, 'the same bytes did not mend the damage');
    insist((await eventsOf('storage.damage_repaired')) === victims.length, 'not one event for each repair');
    for (const { path } of victims) insist(!(await isRefused(path)), `${path} is still refused`);
    await until(async () => (await health.check({ service: 'storage' })).status === Status.SERVING);
  }
  await bus.close();
  transport.close();
  return { checked: files + 3, lost, doubled: 0, breaches };
}

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function flipBit(dataDir: string, digest: string, chance: Chance): void {
  const hex = digest.slice('sha256:'.length);
  const path = join(dataDir, 'tracking/blobs', hex.slice(0, 2), hex);
  const bytes = readFileSync(path);
  const at = chance.between(0, bytes.length - 1);
  bytes[at] = bytes[at]! ^ (1 << chance.between(0, 7));
  writeFileSync(path, bytes);
}
