import { RegistryService } from '@millrace/contracts/registry';
import { createClient, grpcTransport } from '@millrace/rpc';
import { fakeClock, tempDir } from '@millrace/testing';
import { expect, it } from 'vitest';
import { createModelSource } from '../src/serve/model-source.ts';
import { linearModel } from './models.ts';
import { startRegistry } from './stand-ins.ts';

const model = 'projects/default/models/delay';

it('the model cache keeps to its bounds: what was used longest ago goes, and is fetched again when it is asked for', async () => {
  await using folder = tempDir();
  const registry = await startRegistry();
  const transport = grpcTransport({ address: registry.address });
  const clock = fakeClock();
  const size = linearModel([1], 0).length;
  const open = () =>
    createModelSource({
      registry: createClient(RegistryService, transport, { deadlineMs: 10_000 }),
      folder: folder.path,
      maxModelBytes: 1_000_000,
      maxCacheBytes: 2 * size,
      fetchTimeoutMs: 10_000,
      now: clock.now,
    });
  const source = await open();
  const fetched = [];
  for (const version of [1, 2, 3, 4]) {
    registry.versions.set(`${model}/versions/${version}`, { bytes: linearModel([version], 0) });
    fetched.push(await source.fetch(model, version, ''));
    clock.advance(60_000);
  }
  const [one, two, three, four] = fetched as [(typeof fetched)[0], ...typeof fetched];
  // All of them may be on their way to be loaded.
  expect(await source.prune(new Set())).toBe(0);
  clock.advance(3_600_000);
  expect(await source.prune(new Set([one.digest]))).toBe(2);
  registry.versions.clear();
  expect(await one.bytes()).toHaveLength(size);
  expect(await four!.bytes()).toHaveLength(size);
  for (const gone of [two!, three!]) await expect(gone.bytes()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  registry.versions.set(`${model}/versions/2`, { bytes: linearModel([2], 0) });
  expect(Buffer.from(await two!.bytes()).equals(linearModel([2], 0))).toBe(true);

  // A new process does not know when they were used: those in use stay.
  clock.advance(3_600_000);
  const next = await open();
  expect(await next.prune(new Set([two!.digest, four!.digest]))).toBe(1);
  await next.close();
  await source.close();
  transport.close();
  await registry.stop();
});
