import { contexts } from '@millrace/contracts';
import { GRPCInferenceService } from '@millrace/contracts/inference';
import { listDeadLetters } from '@millrace/events';
import { grpcTransport } from '@millrace/rpc';
import { expect, it } from 'vitest';
import { tellsOfInsides } from '../bad-input.ts';
import { failedJobs, failedSteps, failedVersion, refusals } from './failures.ts';
import type { Session } from './session.ts';

/** Names of the insides, wherever it is told that something failed: row 11. */
export function leakRows(session: () => Session): void {
  it('row 11: answers, jobs, steps, models and events tell what failed, and no path, stack or secret', async () => {
    const { millrace, suite, bus, folder, token } = session();
    const told = [
      ...(await failedJobs(millrace)),
      ...(await failedSteps(millrace, token)),
      ...(await failedVersion(millrace)),
      ...(await refusals(millrace)),
    ];
    for (const text of told) expect(text).toMatch(/\w+ \w+/);
    for (const { reason } of await listDeadLetters(bus, { limit: 20_000 })) told.push(reason);
    // A source's path is what its owner said it is, and events tell it; errors do not.
    for (const text of told) expect(text).not.toContain(folder);
    for (const context of contexts) {
      const log = millrace.eventLog(context);
      for (let afterSequence = 0n; ; ) {
        const { events, lastSequence } = await log.listEvents({ afterSequence, pageSize: 1000 });
        if (events.length === 0) break;
        for (const { data } of events) told.push(Buffer.from(data).toString('latin1'));
        afterSequence = lastSequence;
      }
    }
    for (const text of told) {
      expect(tellsOfInsides(text, suite), text).toBe(false);
      expect(text).not.toContain(token);
    }
  }, 60_000);

  it('row 11: no memory and no file can be made known by its name', async () => {
    const transport = grpcTransport({ address: session().suite.service('serving').address });
    const [method] = GRPCInferenceService.methods;
    for (const name of [
      'SystemSharedMemoryRegister',
      'CudaSharedMemoryRegister',
      'SystemSharedMemoryStatus',
    ]) {
      const path = `/${GRPCInferenceService.typeName}/${name}`;
      const metadata = { authorization: `Bearer ${session().token}` };
      const call = { method: method!, path, metadata, deadlineMs: Date.now() + 10_000, signal: undefined };
      await expect(transport.unary(call, new Uint8Array())).rejects.toMatchObject({ kind: 'unimplemented' });
    }
    transport.close();
  });
}
