import type { Versioned } from '@millrace/documents';
import { notFound } from '@millrace/errors';
import { type Alias, findAlias, moveAlias, requireRoom } from '../domain/alias.ts';
import { type Contender, type Decision, judge } from '../domain/decision.ts';
import type { ModelLine } from '../domain/line.ts';
import { announce } from '../message/announce.ts';
import type { Registry } from '../registry.ts';
import { type ModelRef, modelKey } from '../store/keys.ts';
import { versionName } from '../store/names.ts';

/** A promotion that is asked for. */
export interface Promotion extends ModelRef {
  readonly version: number;
  readonly alias: string;
  readonly actor: string;
  readonly comment: string;
}

/** What came of it. */
export interface Promoted {
  /** Empty when it was only tried. */
  readonly id: string;
  readonly decision: Decision;
  /** Whether this decision moved the alias. */
  readonly moved: boolean;
  readonly alias: Alias | undefined;
}

/** How often a promotion is decided anew because the alias moved meanwhile. */
const maxRounds = 100;

/** Decides, and stores and moves nothing. */
export async function tryPromotion(registry: Registry, promotion: Promotion): Promise<Promoted> {
  const line = await registry.store.line(promotion);
  const decision = await decide(registry, promotion, line);
  return { id: '', decision, moved: false, alias: findAlias(line, promotion.alias) };
}

/**
 * Decides, stores the decision, and then moves the alias if it passed. The decision stands first, PENDING, so that a crash between
 * the two is healed by a retry or by {@link settle}. It is applied only to the alias as it was decided on: when that moved
 * meanwhile, the decision is STALE and the next round decides against the new holder.
 */
export async function promote(registry: Registry, promotion: Promotion, key: string): Promise<Promoted> {
  const { store } = registry;
  for (let round = 1; ; round++) {
    const id = round === 1 ? key : `${key}-${round}`;
    let stored = await store.decision(id);
    if (!stored) {
      const decision = await decide(registry, promotion, await store.line(promotion));
      const emit = announce.gateDecided(id, decision);
      stored = await store.decisions.insert(id, decision, { requestId: id, emit });
    }
    const settled = await settle(registry, stored);
    if (settled.decision.outcome !== 'STALE' || round === maxRounds) return settled;
  }
}

/** Carries out a decision that is PENDING, once; tells what became of it if it is not. */
export async function settle(registry: Registry, stored: Versioned<Decision>): Promise<Promoted> {
  const { store } = registry;
  const { id, doc: decision } = stored;
  if (decision.outcome !== 'PENDING') {
    const alias = findAlias(await store.line(decision), decision.alias);
    return { id, decision, moved: movedBy(alias, id), alias };
  }
  const line = await store.lines.upsert(
    modelKey(decision),
    (now) => {
      const doc = now && applied(now, id, decision);
      return doc && { doc, emit: announce.aliasMoved(decision, findAlias(doc, decision.alias)!) };
    },
    { requestId: id },
  );
  const alias = line && findAlias(line.doc, decision.alias);
  const moved = movedBy(alias, id);
  const final = await store.decisions.change(id, (now) =>
    now.outcome === 'PENDING' ? { doc: { ...now, outcome: moved ? 'APPLIED' : 'STALE' } } : undefined,
  );
  return { id, decision: final.doc, moved, alias };
}

/** The line after a decision; undefined when it was applied, or the alias is not where it was decided on. */
function applied(line: ModelLine, id: string, decision: Decision): ModelLine | undefined {
  const now = findAlias(line, decision.alias);
  if (
    (now?.revision ?? 0) !== decision.aliasRevision ||
    !line.open ||
    line.deleted.includes(decision.candidate)
  )
    return undefined;
  const { alias, candidate: version, actor, comment, timeMs: nowMs } = decision;
  const to = { alias, version, cause: 'PROMOTED', decision: id } as const;
  return moveAlias(line, to, { actor, comment, nowMs, expectedRevision: 0 });
}

function movedBy(alias: Alias | undefined, id: string): boolean {
  return alias?.moves.some((move) => move.decision === id) ?? false;
}

async function decide(registry: Registry, promotion: Promotion, line: ModelLine): Promise<Decision> {
  const { store, expressions } = registry;
  const { project, model, alias, actor, comment } = promotion;
  requireRoom(line, alias);
  const holder = findAlias(line, alias);
  const gates = await store.gatesOf(promotion, alias);
  const datasets = [...new Set(gates.map((gate) => gate.dataset).filter((dataset) => dataset !== ''))];
  const contender = (version: number) => contenderOf(registry, { project, model, version }, datasets);
  const candidate = await contender(promotion.version);
  const champion = holder?.version ? await contender(holder.version) : undefined;
  const judgement = judge({ alias, candidate, champion, gates }, expressions);
  const moves = judgement.verdict === 'PASSED' && judgement.code !== 'ALREADY_HOLDER';
  return {
    ...judgement,
    ...{ project, model, alias, actor, comment },
    candidate: candidate.version,
    champion: champion?.version ?? null,
    aliasRevision: holder?.revision ?? 0,
    outcome: moves ? 'PENDING' : judgement.verdict === 'PASSED' ? 'APPLIED' : 'REFUSED',
    timeMs: registry.now(),
  };
}

async function contenderOf(
  { store }: Registry,
  ref: ModelRef & { readonly version: number },
  datasets: readonly string[],
): Promise<Contender> {
  const [{ doc }, evaluations] = await Promise.all([store.version(ref), store.evaluationsOf(ref, datasets)]);
  const { version, state, signature, tags } = doc;
  if (state === 'DELETED') throw notFound(versionName(ref));
  return { version, ready: state === 'READY', signature, tags, evaluations };
}
