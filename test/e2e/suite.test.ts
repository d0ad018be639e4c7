import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DescMethod } from '@bufbuild/protobuf';
import { type Context, contexts } from '@millrace/contracts';
import { connect, type Millrace } from '@millrace/sdk';
import { type ServiceName, services, startSuite, type TestSuite, tempDir } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attack, type Fault, offered } from './bad-input.ts';
import { swapUnderLoad } from './hot-swap.ts';
import { servesTheCommon, stopsUnderLoad } from './life.ts';
import { closesTheLoop, readings } from './loop.ts';
import { type Recorded, recording } from './record.ts';
import { tour } from './tour.ts';
import { tourStreams } from './tour-streams.ts';

/** One suite of real processes; the files beside this one say what is done to it. */
let suite: TestSuite;
let millrace: Millrace;
let recorded: Recorded;
const folder = tempDir('millrace-e2e-');
const all = Object.keys(services) as ServiceName[];

beforeAll(async () => {
  suite = await startSuite({ env: { SOURCE_ROOTS: folder.path, LOG_LEVEL: 'warn' } });
  const address = (context: Context) => [context, suite.env[`${context.toUpperCase()}_ADDRESS`]];
  const plain = connect({ endpoints: { services: Object.fromEntries(contexts.map(address)) } });
  ({ millrace, recorded } = recording(plain));
});

afterAll(async () => {
  millrace?.close();
  await suite?.stop();
  await folder.remove();
});

it('swaps models under load: no request fails, and each answer is that of the version that signs it', async () => {
  const { load, last } = await swapUnderLoad(millrace, { order: [2, 3, 1, 3, 2] });
  expect(load.failures).toEqual([]);
  expect(load.wrong).toEqual([]);
  expect([...load.byVersion.keys()].sort()).toEqual(['1', '2', '3']);
  expect(last).toBe('2');
});

it('goes round: features, serving, drift, alarm, trigger, pipeline', async () => {
  const file = join(folder.path, 'readings.jsonl');
  writeFileSync(file, readings);
  await closesTheLoop(millrace, file);
}, 60_000);

it('answers good requests to the rest', async () => {
  await tour(millrace);
  await tourStreams(millrace);
});

describe('bad input', () => {
  for (const name of all)
    it(`${name} answers each RPC with what was wrong, and goes on`, async () => {
      const { pid } = suite.service(name);
      const faults: Fault[] = [];
      // What deletes comes last, so that there is something to ask the others about.
      const methods = offered[name]
        .flatMap((service) => service.methods)
        .sort((a, b) => Number(deletes(b)) - Number(deletes(a)));
      const worker = async () => {
        for (let next = methods.pop(); next; next = methods.pop())
          faults.push(...(await attack(suite, name, next, recorded)));
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
      expect(faults.slice(0, 10), `${faults.length} faults`).toEqual([]);
      expect(suite.service(name).pid).toBe(pid);
      process.kill(pid, 0);
    }, 60_000);
});

function deletes({ name }: DescMethod): boolean {
  return /^(Delete|Remove)|Unload$/.test(name);
}

describe('each service', () => {
  it.each(all)('%s serves health, reflection and its events', (name) => servesTheCommon(suite, name));
  it.each(all)('%s stops under load', (name) => stopsUnderLoad(suite, name));
});
