import { isCoded } from '@millrace/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findAlias,
  type Mover,
  moveAlias,
  parseVersion,
  removeAlias,
  rollbackAlias,
} from '../src/domain/alias.ts';
import {
  allocate,
  allocated,
  closeLine,
  discard,
  type ModelLine,
  newLine,
  openLine,
} from '../src/domain/line.ts';

const mover = (over: Partial<Mover> = {}): Mover => ({
  actor: 'a',
  comment: '',
  nowMs: 1,
  expectedRevision: 0,
  ...over,
});
const set = (line: ModelLine, alias: string, version: number) =>
  moveAlias(line, { alias, version, cause: 'SET', decision: '' }, mover()) ?? line;

type Step = (line: ModelLine) => ModelLine | undefined;

const aliasName = fc.constantFrom('champion', 'canary');
const version = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(aliasName, version).map(
    ([alias, to]): Step =>
      (line) =>
        moveAlias(line, { alias, version: to, cause: 'SET', decision: '' }, mover()),
  ),
  aliasName.map(
    (alias): Step =>
      (line) =>
        rollbackAlias(line, alias, mover()),
  ),
  aliasName.map(
    (alias): Step =>
      (line) =>
        removeAlias(line, alias, mover()),
  ),
  version.map(
    (number): Step =>
      (line) =>
        discard(line, number),
  ),
  fc.string({ minLength: 1, maxLength: 3 }).map(
    (key): Step =>
      (line) =>
        allocate(line, key),
  ),
);

/** Applies steps as a store would: a refusal changes nothing. */
function play(steps: readonly Step[], check: (before: ModelLine, after: ModelLine) => void): ModelLine {
  let line = newLine('p', 'm');
  for (const apply of steps) {
    let next = line;
    try {
      next = apply(line) ?? line;
    } catch (caught) {
      if (!isCoded(caught, 'failed_precondition')) throw caught;
    }
    check(line, next);
    line = next;
  }
  return line;
}

describe('a model line, whatever is asked of it', () => {
  it('gives each alias one linear history, each move beginning where the one before ended', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const line = play(steps, () => {});
        for (const alias of line.aliases) {
          let at: number | null = null;
          for (const [i, move] of alias.moves.entries()) {
            expect(move.revision).toBe(i + 1);
            expect(move.previous).toBe(at);
            expect(move.version).not.toBe(at);
            at = move.version;
          }
          expect(alias.version).toBe(at);
          expect(alias.revision).toBe(alias.moves.length);
        }
      }),
    );
  });

  it('never points an alias at a deleted version', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        play(steps, (_before, after) => {
          for (const alias of after.aliases)
            if (alias.version !== null) expect(after.deleted).not.toContain(alias.version);
        });
      }),
    );
  });

  it('never gives a number twice', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        play(steps, (before, after) => {
          expect(after.lastVersion - before.lastVersion).toBeOneOf([0, 1]);
          expect(new Set(after.allocations.map((row) => row.version)).size).toBe(after.allocations.length);
        });
      }),
    );
  });
});

describe('rolling back', () => {
  it('goes further back each time instead of bouncing', () => {
    let line = [1, 2, 3].reduce((now, number) => set(now, 'champion', number), newLine('p', 'm'));
    line = rollbackAlias(line, 'champion', mover());
    expect(findAlias(line, 'champion')?.version).toBe(2);
    line = rollbackAlias(line, 'champion', mover());
    expect(findAlias(line, 'champion')?.version).toBe(1);
    expect(() => rollbackAlias(line, 'champion', mover())).toThrow(/no earlier version/);
  });

  it('passes over versions deleted since, and brings a removed alias back', () => {
    let line = [1, 2, 3].reduce((now, number) => set(now, 'champion', number), newLine('p', 'm'));
    line = discard(line, 2)!;
    line = rollbackAlias(line, 'champion', mover());
    expect(findAlias(line, 'champion')?.version).toBe(1);
    line = removeAlias(line, 'champion', mover())!;
    line = rollbackAlias(line, 'champion', mover());
    expect(findAlias(line, 'champion')?.version).toBe(1);
  });
});

describe('what a line refuses', () => {
  it('a move from another revision than expected', () => {
    const line = set(newLine('p', 'm'), 'champion', 1);
    const to = { alias: 'champion', version: 2, cause: 'SET', decision: '' } as const;
    expect(() => moveAlias(line, to, mover({ expectedRevision: 2 }))).toThrow(/revision 1, not 2/);
    expect(moveAlias(line, to, mover({ expectedRevision: 1 }))).toBeDefined();
  });

  it('giving up a version or a model that has an alias', () => {
    const line = set(newLine('p', 'm'), 'champion', 1);
    expect(() => discard(line, 1)).toThrow(/alias champion/);
    expect(() => closeLine(line)).toThrow(/aliases \(champion\)/);
  });

  it('a registration while the model is being deleted; a model created again goes on numbering', () => {
    const one = allocate(newLine('p', 'm'), 'a')!;
    const closed = closeLine(one)!;
    expect(() => allocate(closed, 'b')).toThrow(/being deleted/);
    const again = allocate(openLine(closed)!, 'b')!;
    expect(allocated(again, 'b')).toBe(2);
    expect(allocate(again, 'b')).toBeUndefined();
  });

  it.each(['0', '-1', '01', '1.5', 'Champion', '', '99999999999', '../1'])('%j as a version', (segment) => {
    expect(() => parseVersion(segment, 'name')).toThrow(/is no version/);
  });
});
