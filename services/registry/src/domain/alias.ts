import { CodedError, invalidField, wrongState } from '@millrace/errors';
import { refuse } from './codes.ts';
import type { ModelLine } from './line.ts';

/** How an alias came to move. */
export type MoveCause = 'SET' | 'PROMOTED' | 'ROLLED_BACK' | 'REMOVED';

/** One move of an alias. */
export interface AliasMove {
  readonly revision: number;
  /** The version it points to since; null when it was removed. */
  readonly version: number | null;
  readonly previous: number | null;
  readonly cause: MoveCause;
  /** The id of the decision that moved it; empty unless promoted. */
  readonly decision: string;
  readonly comment: string;
  readonly actor: string;
  readonly timeMs: number;
}

/** An alias with its history, oldest first. */
export interface Alias {
  readonly alias: string;
  /** The version it points to; null when it was removed. */
  readonly version: number | null;
  /** How many times it was moved. */
  readonly revision: number;
  readonly moves: readonly AliasMove[];
}

/** Who moves an alias, why and when. */
export interface Mover {
  readonly actor: string;
  readonly comment: string;
  readonly nowMs: number;
  /** The revision the alias must be at; 0 for any. */
  readonly expectedRevision: number;
}

/** The moves that are kept here; all of them stand in the event log. */
const keptMoves = 200;
/** How many aliases a model can have, removed ones included. */
const maxAliases = 100;

export function findAlias(line: ModelLine, alias: string): Alias | undefined {
  return line.aliases.find((row) => row.alias === alias);
}

/** The aliases that point to a version, ordered. */
export function aliasesOf(line: ModelLine, version: number): readonly string[] {
  return line.aliases
    .filter((row) => row.version === version)
    .map((row) => row.alias)
    .sort();
}

export interface MoveTo {
  readonly alias: string;
  readonly version: number;
  readonly cause: 'SET' | 'PROMOTED';
  readonly decision: string;
}

/**
 * Points an alias at a version. A SET to where it points already changes nothing (undefined). Throws WRONG_STATE when
 * the version was deleted, VERSION_CONFLICT when the alias is at another revision.
 */
export function moveAlias(line: ModelLine, to: MoveTo, mover: Mover): ModelLine | undefined {
  const now = findAlias(line, to.alias);
  expectRevision(now, to.alias, mover);
  if (line.deleted.includes(to.version) || !line.open)
    throw wrongState(`version ${to.version} was deleted; an alias points to READY versions`);
  if (now?.version === to.version) return undefined;
  requireRoom(line, to.alias);
  return withMove(line, to.alias, { version: to.version, cause: to.cause, decision: to.decision }, mover);
}

/** WRONG_STATE when a model has so many aliases that it can have no new one. */
export function requireRoom(line: ModelLine, alias: string): void {
  if (!findAlias(line, alias) && line.aliases.length >= maxAliases)
    throw refuse('TOO_MANY_ALIASES', `the model has ${maxAliases} aliases already`);
}

/** Takes an alias back to where it pointed before. WRONG_STATE when there is no version to go back to. */
export function rollbackAlias(line: ModelLine, alias: string, mover: Mover): ModelLine {
  const now = findAlias(line, alias);
  expectRevision(now, alias, mover);
  const version = now && rollbackTarget(now, line.deleted);
  if (version === undefined)
    throw refuse('NOTHING_TO_ROLL_BACK', `alias ${alias} has no earlier version to go back to`);
  return withMove(line, alias, { version, cause: 'ROLLED_BACK', decision: '' }, mover);
}

/** Removes an alias; undefined when it does not point anywhere. */
export function removeAlias(line: ModelLine, alias: string, mover: Mover): ModelLine | undefined {
  const now = findAlias(line, alias);
  expectRevision(now, alias, mover);
  if (!now || now.version === null) return undefined;
  return withMove(line, alias, { version: null, cause: 'REMOVED', decision: '' }, mover);
}

/**
 * The version an alias goes back to. Setting and promoting put a version on a stack, rolling back takes one off and
 * removing none; what is deleted since, or equal to where the alias points, is passed over. So a second rollback goes further
 * back instead of bouncing.
 */
function rollbackTarget(alias: Alias, deleted: readonly number[]): number | undefined {
  const stack: number[] = [];
  for (const move of alias.moves) {
    if (move.version === null) continue;
    // A rollback lands on a version below the top: everything above it is gone.
    if (move.cause === 'ROLLED_BACK') while (stack.length > 0 && stack.at(-1) !== move.version) stack.pop();
    if (stack.at(-1) !== move.version) stack.push(move.version);
  }
  return stack.findLast((version) => version !== alias.version && !deleted.includes(version));
}

function expectRevision(now: Alias | undefined, alias: string, { expectedRevision }: Mover): void {
  const actual = now?.revision ?? 0;
  if (expectedRevision === 0 || expectedRevision === actual) return;
  const message = `alias ${alias} is at revision ${actual}, not ${expectedRevision}; read it again and retry`;
  throw new CodedError('aborted', 'VERSION_CONFLICT', message, {
    details: { expected: String(expectedRevision), actual: String(actual) },
  });
}

function withMove(
  line: ModelLine,
  alias: string,
  to: Pick<AliasMove, 'version' | 'cause' | 'decision'>,
  mover: Mover,
): ModelLine {
  const now = findAlias(line, alias);
  const revision = (now?.revision ?? 0) + 1;
  const move: AliasMove = {
    ...to,
    revision,
    previous: now?.version ?? null,
    comment: mover.comment,
    actor: mover.actor,
    timeMs: mover.nowMs,
  };
  const next: Alias = {
    alias,
    version: to.version,
    revision,
    moves: [...(now?.moves ?? []), move].slice(-keptMoves),
  };
  const others = line.aliases.filter((row) => row.alias !== alias);
  return { ...line, aliases: [...others, next].sort((a, b) => (a.alias < b.alias ? -1 : 1)) };
}

/** Whether a text can be an alias: `[a-z][a-z0-9_-]*`, at most 63 characters. */
export function isAlias(text: string): boolean {
  return /^[a-z][a-z0-9_-]{0,62}$/.test(text);
}

/** Reads the last segment of a version's name: a number or an alias. INVALID_FIELD naming `field` for anything else. */
export function parseVersion(segment: string, field: string): number | string {
  if (/^[1-9]\d{0,8}$/.test(segment)) return Number(segment);
  if (isAlias(segment)) return segment;
  throw invalidField(field, `${JSON.stringify(segment)} is no version`, 'a positive integer, or an alias');
}
