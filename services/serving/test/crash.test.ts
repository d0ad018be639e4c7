import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fromBinary } from '@bufbuild/protobuf';
import { EventLogService } from '@millrace/contracts/common';
import { GRPCInferenceService } from '@millrace/contracts/inference';
import { DeploymentService, InferenceLoggedSchema } from '@millrace/contracts/serving';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, tempDir, until } from '@millrace/testing';
import { expect, it } from 'vitest';
import { model, rowsOf } from './harness.ts';
import { linearModel } from './models.ts';
import { startRegistry } from './stand-ins.ts';

it('kill -9 under load loses no answered inference, and the service answers again with the same version', async () => {
  await using folder = tempDir('millrace-serving-');
  const nats = await startNats();
  const registry = await startRegistry();
  registry.versions.set(`${model}/versions/1`, { bytes: linearModel([1], 0) });
  const env = {
    ...process.env,
    DATA_DIR: folder.path,
    NATS_URL: nats.url,
    REGISTRY_ADDRESS: registry.address,
    LOG_LEVEL: 'error',
    WORKERS: '1',
  };
  const start = async (): Promise<[ChildProcess, string]> => {
    const main = join(import.meta.dirname, '../src/main.ts');
    const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return [child, (JSON.parse(line) as { address: string }).address];
  };
  let [child, address] = await start();
  const targets = [{ model, weight: 1, selector: { case: 'version' as const, value: 1 } }];
  const connect = () => grpcTransport({ address });
  const options = { deadlineMs: 10_000 };
  await createClient(DeploymentService, connect(), options).createDeployment({
    parent: 'projects/default',
    deploymentId: 'd',
    deployment: { targets },
  });
  const answered: string[] = [];
  const load = async (name: string, count: number) => {
    const inference = createClient(GRPCInferenceService, connect(), options);
    await until(async () => (await inference.modelReady({ name: 'd' })).ready, { what: 'it is ready' });
    const client = async (c: number) => {
      for (let i = 0; i < count; i++) {
        const id = `${name}-${c}-${i}`;
        const answer = await inference.modelInfer(rowsOf('d', [[i]], { id }));
        expect(answer.modelVersion).toBe('1');
        answered.push(id);
      }
    };
    await Promise.allSettled(Array.from({ length: 8 }, (_, c) => client(c)));
  };
  const first = load('a', 100_000);
  await until(() => answered.length > 300, { what: 'load' });
  child.kill('SIGKILL');
  await first;
  [child, address] = await start();
  await load('b', 20);
  expect(answered.filter((id) => id.startsWith('b'))).toHaveLength(160);
  const logged = new Set<string>();
  const events = createClient(EventLogService, connect(), options);
  for (let after = 0n; ; ) {
    const page = await events.listEvents({ afterSequence: after, pageSize: 1000 });
    for (const event of page.events)
      if (event.type === 'millrace.serving.inference.logged.v1')
        for (const id of fromBinary(InferenceLoggedSchema, event.data).inferenceIds) logged.add(id);
    if (page.events.length === 0) break;
    after = page.events.at(-1)!.sequence;
  }
  expect(answered.filter((id) => !logged.has(id))).toEqual([]);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
  await registry.stop();
  await nats.stop();
}, 60_000);
