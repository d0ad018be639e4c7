import type { Context } from '@millrace/contracts';
import { connect, type Millrace } from '@millrace/sdk';
import { startSuite, type TestSuite, tempDir } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attack, type Fault, offered } from './bad-input.ts';

/** One suite of real processes for all of this; the files beside this one hold what is done to it. */
let suite: TestSuite;
const folder = tempDir('millrace-e2e-');

beforeAll(async () => {
  suite = await startSuite({ env: { SOURCE_ROOTS: folder.path, LOG_LEVEL: 'warn' } });
});

afterAll(async () => {
  await suite?.stop();
  await folder.remove();
});

describe('bad input', () => {
  for (const [name, services] of Object.entries(offered)) {
    it(`${name} answers each RPC with what was wrong, and goes on`, async () => {
      const pid = suite.service(name as keyof typeof offered).pid;
      const faults: Fault[] = [];
      const methods = services.flatMap((service) => service.methods.map((method) => ({ service, method })));
      const worker = async () => {
        for (let next = methods.pop(); next; next = methods.pop())
          faults.push(...(await attack(suite, name as keyof typeof offered, next.service, next.method)));
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
      expect(faults.slice(0, 20), `${faults.length} faults`).toEqual([]);
      expect(suite.service(name as keyof typeof offered).pid).toBe(pid);
    }, 60_000);
  }
});
