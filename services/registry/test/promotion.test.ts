import {
  AliasMoveCause,
  GateDecisionOutcome as Outcome,
  GateReasonCode as Reason,
  GateVerdict as Verdict,
} from '@millrace/contracts/registry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate, modelWithVersions, type RunningRegistry, startRegistry } from './running.ts';

let registry: RunningRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.stop());

const better = 'candidate.metrics.auc > champion.metrics.auc';

const gate = (parent: string, over: object = {}) =>
  registry.models.createGate({
    parent,
    gateId: 'better',
    gate: { alias: 'champion', expression: better, allowFirst: true, ...over },
  });

const promote = (parent: string, version: number, over: object = {}) =>
  registry.models.promoteVersion({ name: `${parent}/versions/${version}`, alias: 'champion', ...over });

describe('promotion', () => {
  it('moves the alias when the gate passes, refuses with the numbers when it does not, and keeps every decision', async () => {
    const parent = await modelWithVersions(registry, 'guarded', 3);
    await gate(parent);
    for (const [version, auc] of [
      [1, 0.7],
      [2, 0.65],
      [3, 0.75],
    ] as const)
      await evaluate(registry, `${parent}/versions/${version}`, 'june', auc);

    const first = await promote(parent, 1);
    expect(first).toMatchObject({
      moved: true,
      decision: { reasonCode: Reason.FIRST_ALLOWED, outcome: Outcome.APPLIED },
    });
    const worse = await promote(parent, 2);
    expect(worse).toMatchObject({
      moved: false,
      alias: { modelVersion: `${parent}/versions/1` },
      decision: { verdict: Verdict.REFUSED, reasonCode: Reason.CONDITION_NOT_MET, outcome: Outcome.REFUSED },
    });
    expect(worse.decision?.reason).toContain('candidate.metrics.auc = 0.65, champion.metrics.auc = 0.7');
    const tried = await promote(parent, 3, { validateOnly: true });
    expect(tried).toMatchObject({ moved: false, decision: { name: '', verdict: Verdict.PASSED } });
    const passed = await promote(parent, 3, { comment: 'weekly' });
    expect(passed).toMatchObject({
      moved: true,
      alias: { modelVersion: `${parent}/versions/3`, revision: 2n },
    });
    expect(passed.decision).toMatchObject({
      champion: `${parent}/versions/1`,
      results: [{ dataset: 'june' }],
    });

    const { decisions } = await registry.models.listGateDecisions({ parent });
    expect(decisions.map((row) => row.outcome)).toEqual([Outcome.APPLIED, Outcome.REFUSED, Outcome.APPLIED]);
    expect((await registry.models.getGateDecision({ name: passed.decision!.name })).decision).toEqual(
      passed.decision,
    );
    const { moves } = await registry.models.listAliasMoves({ name: `${parent}/aliases/champion` });
    expect(moves[0]).toMatchObject({
      cause: AliasMoveCause.PROMOTED,
      decision: passed.decision?.name,
      comment: 'weekly',
    });
    expect(await promote(parent, 3)).toMatchObject({
      moved: false,
      decision: { reasonCode: Reason.ALREADY_HOLDER },
    });
  });

  it('refuses what was not measured, by a typed reason and not by an error', async () => {
    const parent = await modelWithVersions(registry, 'unmeasured', 2);
    await gate(parent, { dataset: 'june' });
    expect((await promote(parent, 1)).decision).toMatchObject({ reasonCode: Reason.NO_EVALUATION });
    await registry.models.recordEvaluation({
      parent: `${parent}/versions/1`,
      evaluation: { dataset: 'june', metrics: [{ name: 'loss', value: Number.NaN }] },
    });
    const { decision } = await promote(parent, 1);
    expect(decision).toMatchObject({ reasonCode: Reason.METRIC_MISSING, verdict: Verdict.REFUSED });
    expect(decision?.reason).toContain('has no metric "auc" on data set "june"');
  });

  it('answers a repeated request with the same decision, across a restart', async () => {
    const parent = await modelWithVersions(registry, 'repeated', 1);
    const first = await promote(parent, 1, { requestId: 'promote-1' });
    await registry.restart();
    expect(await promote(parent, 1, { requestId: 'promote-1' })).toEqual(first);
    await expect(promote(parent, 1, { requestId: 'promote-1', comment: 'x' })).rejects.toMatchObject({
      code: 'REQUEST_ID_REUSED',
    });
  });

  it('guards its alias: SetAlias needs to say that it bypasses the gates', async () => {
    const parent = await modelWithVersions(registry, 'bypassed', 1);
    await gate(parent);
    const request = { name: `${parent}/aliases/champion`, version: 1 };
    await expect(registry.models.setAlias(request)).rejects.toMatchObject({ code: 'ALIAS_GATED' });
    await registry.models.setAlias({ ...request, bypassGates: true });
  });

  it('of twenty at once leaves one linear history in which each winner beat the one before', async () => {
    const parent = await modelWithVersions(registry, 'contested', 20);
    await gate(parent);
    const auc = (version: number) => ((version * 7) % 20) / 20;
    for (let version = 1; version <= 20; version++)
      await evaluate(registry, `${parent}/versions/${version}`, 'june', auc(version));
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => promote(parent, i + 1)));

    const name = `${parent}/aliases/champion`;
    const moves = (await registry.models.listAliasMoves({ name })).moves.reverse();
    expect(moves.length).toBe(answers.filter((answer) => answer.moved).length);
    let previous = '';
    let best = -1;
    for (const [i, move] of moves.entries()) {
      expect(move.revision).toBe(BigInt(i + 1));
      expect(move.previousModelVersion).toBe(previous);
      const now = auc(Number(move.modelVersion.split('/').at(-1)));
      expect(now).toBeGreaterThan(best);
      previous = move.modelVersion;
      best = now;
    }
    expect(best).toBe(0.95);
    for (const { decision } of answers)
      expect(decision?.outcome).toBeOneOf([Outcome.APPLIED, Outcome.REFUSED]);
  });
});

describe('gates', () => {
  it('are created, read, changed, listed and deleted', async () => {
    const parent = await modelWithVersions(registry, 'gates', 0);
    const { gate: made } = await gate(parent, { description: 'must improve' });
    expect(made).toMatchObject({
      name: `${parent}/gates/better`,
      alias: 'champion',
      expression: better,
      allowFirst: true,
    });
    await expect(gate(parent)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const update = { name: made!.name, allowFirst: false, etag: made!.etag };
    const { gate: changed } = await registry.models.updateGate({
      gate: update,
      updateMask: { paths: ['allow_first'] },
    });
    expect(changed).toMatchObject({ allowFirst: false, expression: better, description: 'must improve' });
    expect((await registry.models.listGates({ parent, alias: 'champion' })).gates).toEqual([changed]);
    expect((await registry.models.listGates({ parent, alias: 'canary' })).gates).toEqual([]);
    await registry.models.deleteGate({ name: made!.name });
    await expect(registry.models.getGate({ name: made!.name })).rejects.toMatchObject({ kind: 'not_found' });
  });

  it('are refused with a clear word when the expression is wrong', async () => {
    const parent = await modelWithVersions(registry, 'wrong gates', 0);
    await expect(gate(parent, { expression: 'candidate.metrix.auc > 1' })).rejects.toMatchObject({
      kind: 'invalid_argument',
      violations: [
        { field: 'gate.expression', description: expect.stringContaining('candidate has no metrix') },
      ],
    });
    await expect(gate(parent, { alias: '' })).rejects.toMatchObject({
      violations: [{ field: 'gate.alias' }],
    });
  });
});
