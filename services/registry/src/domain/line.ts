import { wrongState } from '@millrace/errors';
import type { Alias } from './alias.ts';
import { refuse } from './codes.ts';

/** A number that was given to a registration, remembered so that trying again after a crash gets the same one. */
interface Allocation {
  readonly key: string;
  readonly version: number;
}

/**
 * What must be decided in one place for a model: which numbers are given, which are taken back, and where the aliases
 * point. It outlives the model, so that a model created again under its name goes on numbering.
 */
export interface ModelLine {
  readonly project: string;
  readonly model: string;
  /** False while the model is being deleted, and after. */
  readonly open: boolean;
  readonly lastVersion: number;
  /** The newest allocations. */
  readonly allocations: readonly Allocation[];
  readonly aliases: readonly Alias[];
  /** Versions that were deleted and can no longer get an alias. */
  readonly deleted: readonly number[];
}

/** How many allocations are remembered: more than can be under way at a time. */
const rememberedAllocations = 256;

export function newLine(project: string, model: string): ModelLine {
  return { project, model, open: true, lastVersion: 0, allocations: [], aliases: [], deleted: [] };
}

/** Opens a line for registrations; undefined when it is open. */
export function openLine(line: ModelLine): ModelLine | undefined {
  return line.open ? undefined : { ...line, open: true };
}

/** WRONG_STATE while the model is being deleted, and after. */
export function requireOpen(line: ModelLine): void {
  if (!line.open) throw wrongState(`model ${JSON.stringify(line.model)} is being deleted`);
}

/** The number given under a key; undefined when none was, or it is forgotten. */
export function allocated(line: ModelLine, key: string): number | undefined {
  return line.allocations.find((allocation) => allocation.key === key)?.version;
}

/** Gives the next number under a key; undefined when the key has one. WRONG_STATE while the model is being deleted. */
export function allocate(line: ModelLine, key: string): ModelLine | undefined {
  if (allocated(line, key) !== undefined) return undefined;
  requireOpen(line);
  const version = line.lastVersion + 1;
  const allocations = [...line.allocations.slice(1 - rememberedAllocations), { key, version }];
  return { ...line, lastVersion: version, allocations };
}

/** Gives up a version; undefined when it was. WRONG_STATE while an alias points to it. */
export function discard(line: ModelLine, version: number): ModelLine | undefined {
  if (line.deleted.includes(version)) return undefined;
  const holders = line.aliases.filter((alias) => alias.version === version).map((alias) => alias.alias);
  if (holders.length > 0) {
    const names = holders.join(', ');
    throw refuse('VERSION_ALIASED', `version ${version} has the alias ${names}; move or remove it first`);
  }
  return { ...line, deleted: [...line.deleted, version] };
}

/** Closes the line of a model that is being deleted; undefined when it is closed. WRONG_STATE while an alias is set. */
export function closeLine(line: ModelLine): ModelLine | undefined {
  const set = line.aliases.filter((alias) => alias.version !== null).map((alias) => alias.alias);
  if (set.length > 0)
    throw refuse('MODEL_ALIASED', `the model has aliases (${set.join(', ')}); remove them first`);
  return line.open ? { ...line, open: false } : undefined;
}
