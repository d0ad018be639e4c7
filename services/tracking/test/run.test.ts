import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  admitMetrics,
  annotateRun,
  createRun,
  deleteRun,
  finishRun,
  isFinal,
  noteLatest,
  type Run,
  type RunStatus,
  restoreRun,
  updateRun,
} from '../src/domain/run.ts';

const statuses: RunStatus[] = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'];
const fresh = (status: RunStatus = 'RUNNING'): Run =>
  createRun(
    {
      project: 'p',
      id: 'a'.repeat(32),
      experiment: 0,
      displayName: '',
      status,
      startTimeMs: undefined,
      tags: [],
    },
    1000,
  );
const nothing = { params: [], tags: [], removedTags: [] };

describe('the life of a run', () => {
  test('whatever is asked, a run has an end time exactly when it ended, and never before its start', () => {
    const commands = fc.array(
      fc.record({
        kind: fc.constantFrom('update', 'finish', 'delete', 'restore'),
        status: fc.constantFrom(...statuses),
        time: fc.option(fc.nat(5000), { nil: undefined }),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(fc.constantFrom<RunStatus>('RUNNING', 'SCHEDULED'), commands, (first, list) => {
        let run = fresh(first);
        for (const [i, { kind, status, time }] of list.entries()) {
          const now = 1000 + i;
          try {
            if (kind === 'update')
              run =
                updateRun(run, { status, ...(time === undefined ? {} : { endTimeMs: time }) }, now)?.run ??
                run;
            else if (kind === 'finish') run = finishRun(run, status, time, now)?.run ?? run;
            else if (kind === 'delete') run = deleteRun(run, now) ?? run;
            else run = restoreRun(run) ?? run;
          } catch (error) {
            expect((error as { kind?: string }).kind).toMatch(/invalid_argument|failed_precondition/);
          }
          expect(run.endTimeMs !== null).toBe(isFinal(run.status));
          if (run.status === 'RUNNING') expect(run.startTimeMs).not.toBeNull();
          if (run.endTimeMs !== null && run.startTimeMs !== null)
            expect(run.endTimeMs).toBeGreaterThanOrEqual(run.startTimeMs);
        }
      }),
    );
  });

  test('ending twice the same way changes nothing; another end is refused; it can be resumed', () => {
    const ended = finishRun(fresh(), 'FINISHED', undefined, 2000);
    expect(ended).toMatchObject({ finished: true, changed: ['status', 'end_time'] });
    const run = ended?.run as Run;
    expect(finishRun(run, 'FINISHED', 9000, 3000)).toBeUndefined();
    expect(() => finishRun(run, 'FAILED', undefined, 3000)).toThrow('from there it can become RUNNING');
    expect(updateRun(run, { status: 'RUNNING' }, 3000)?.run).toMatchObject({
      status: 'RUNNING',
      endTimeMs: null,
    });
  });

  test('begins as RUNNING or SCHEDULED only', () => {
    expect(() => fresh('FINISHED')).toThrow('run.status');
    expect(fresh('SCHEDULED').startTimeMs).toBeNull();
    expect(fresh().displayName).toBe('run-aaaaaaaa');
  });
});

describe('params and tags', () => {
  test('a param is written once', () => {
    const run = annotateRun(fresh(), { ...nothing, params: [{ key: 'lr', value: '1' }] })?.run as Run;
    expect(annotateRun(run, { ...nothing, params: [{ key: 'lr', value: '1' }] })).toBeUndefined();
    const again = () => annotateRun(run, { ...nothing, params: [{ key: 'lr', value: '2' }] });
    expect(again).toThrow('written once');
    const twice = [
      { key: 'a', value: '1' },
      { key: 'a', value: '2' },
    ];
    expect(() => annotateRun(run, { ...nothing, params: twice })).toThrow('written once');
  });

  test('keys such as __proto__ are plain data', () => {
    const tags = [
      { key: '__proto__', value: '{"admin":true}' },
      { key: 'constructor', value: 'x' },
    ];
    const run = annotateRun(fresh(), { ...nothing, tags })?.run as Run;
    expect(run.tags).toEqual(tags);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    expect(annotateRun(run, { ...nothing, removedTags: ['__proto__'] })?.run.tags).toEqual([tags[1]]);
  });

  test('limits are refused with what is allowed', () => {
    const params = Array.from({ length: 2001 }, (_, i) => ({ key: `p${i}`, value: '' }));
    expect(() => annotateRun(fresh(), { ...nothing, params })).toThrow('at most 2000');
    const long = Array.from({ length: 600 }, (_, i) => ({ key: `p${i}`, value: 'x'.repeat(8000) }));
    expect(() => annotateRun(fresh(), { ...nothing, params: long })).toThrow('characters');
    const keys = Array.from({ length: 10_001 }, (_, i) => `m${i}`);
    expect(() => admitMetrics(fresh(), keys)).toThrow('at most 10000');
  });

  test('a deleted run takes nothing new, but logged points are still noted', () => {
    const run = deleteRun(fresh(), 5) as Run;
    const points = [{ key: 'm', value: 1, step: 0n, timestampMs: 0 }];
    expect(() => annotateRun(run, { ...nothing, tags: [{ key: 'a', value: 'b' }] })).toThrow('deleted');
    expect(() => admitMetrics(run, ['m'])).toThrow('deleted');
    expect(() => updateRun(run, { displayName: 'x' }, 9)).toThrow('deleted');
    expect(noteLatest(run, points)?.metrics).toEqual(points);
    expect(restoreRun(run)?.deletedAtMs).toBeNull();
  });
});
