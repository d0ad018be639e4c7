import { names } from '@millrace/contracts';
import { RegistryService } from '@millrace/contracts/registry';
import { invalidField, notFound, wrongState } from '@millrace/errors';
import { type CallContext, type Handlers, requirePermission } from '@millrace/rpc';
import {
  type Alias,
  findAlias,
  isAlias,
  type Mover,
  moveAlias,
  removeAlias,
  rollbackAlias,
} from '../domain/alias.ts';
import { refuse } from '../domain/codes.ts';
import { type ModelLine, newLine } from '../domain/line.ts';
import { promote, tryPromotion } from '../flows/promotion.ts';
import { announce } from '../message/announce.ts';
import { aliasMessage, decisionMessage, moveMessage } from '../message/resources.ts';
import type { Registry } from '../registry.ts';
import { type ModelRef, modelKey } from '../store/keys.ts';
import { aliasName } from '../store/names.ts';
import { mutating } from './mutating.ts';
import { numberedVersion, pageLimit } from './request.ts';

type Methods =
  | 'setAlias'
  | 'promoteVersion'
  | 'rollbackAlias'
  | 'removeAlias'
  | 'getAlias'
  | 'listAliases'
  | 'listAliasMoves';

/** What a caller needs besides the method's own permission to set an alias that has gates. */
const bypassPermission = 'registry.gates.bypass';

export function aliasHandlers(registry: Registry): Pick<Handlers<typeof RegistryService>, Methods> {
  const { store } = registry;
  const { method } = RegistryService;

  /** Moves an alias by a rule of the domain, in one step with its event. */
  async function move(
    ref: ModelRef & { readonly alias: string },
    requestId: string,
    decide: (line: ModelLine) => ModelLine | undefined,
  ): Promise<Alias> {
    await store.model(ref);
    const line = await store.lines.upsert(
      modelKey(ref),
      (now) => {
        const doc = decide(now ?? newLine(ref.project, ref.model));
        return doc && { doc, emit: announce.aliasMoved(ref, findAlias(doc, ref.alias)!) };
      },
      { requestId },
    );
    const alias = line && findAlias(line.doc, ref.alias);
    if (!alias) throw notFound(aliasName(ref, ref.alias));
    return alias;
  }

  function moverOf(
    request: { readonly comment: string; readonly expectedRevision: bigint },
    context: CallContext,
  ): Mover {
    const expectedRevision = Number(request.expectedRevision);
    return {
      actor: context.identity.subject,
      comment: request.comment,
      nowMs: registry.now(),
      expectedRevision,
    };
  }

  /** NOT_FOUND when there never was such an alias. */
  async function existing(ref: ModelRef & { readonly alias: string }): Promise<Alias> {
    await store.model(ref);
    const alias = findAlias(await store.line(ref), ref.alias);
    if (!alias) throw notFound(aliasName(ref, ref.alias));
    return alias;
  }

  return {
    async setAlias(request, context) {
      const ref = aliasRef(request.name);
      if (request.bypassGates) requirePermission(context.identity, bypassPermission);
      return mutating(registry, method.setAlias, ref.project, request, async ({ id }) => {
        const { version, bypassGates } = request;
        const { doc } = await store.version({ ...ref, version });
        if (doc.state !== 'READY')
          throw wrongState(`version ${version} is ${doc.state}; an alias points to READY versions`);
        const gates = await store.gatesOf(ref, ref.alias);
        if (gates.length > 0 && !bypassGates) {
          const message = `${ref.alias} is guarded by ${gates.map((gate) => gate.gate).join(', ')}; use PromoteVersion, or bypass_gates`;
          throw refuse('ALIAS_GATED', message);
        }
        const to = { alias: ref.alias, version, cause: 'SET', decision: '' } as const;
        const mover = moverOf(request, context);
        return { alias: aliasMessage(ref, await move(ref, id, (line) => moveAlias(line, to, mover))) };
      });
    },

    async promoteVersion(request, context) {
      const ref = numberedVersion(request.name, 'name');
      const { alias, comment } = request;
      const promotion = { ...ref, alias, comment, actor: context.identity.subject };
      return mutating(registry, method.promoteVersion, ref.project, request, async ({ id }) => {
        await store.version(ref);
        const found = request.validateOnly
          ? await tryPromotion(registry, promotion)
          : await promote(registry, promotion, id);
        return {
          decision: decisionMessage(found.id, found.decision),
          moved: found.moved,
          ...(found.alias ? { alias: aliasMessage(ref, found.alias) } : {}),
        };
      });
    },

    async rollbackAlias(request, context) {
      const ref = aliasRef(request.name);
      return mutating(registry, method.rollbackAlias, ref.project, request, async ({ id }) => {
        await existing(ref);
        const mover = moverOf(request, context);
        return {
          alias: aliasMessage(ref, await move(ref, id, (line) => rollbackAlias(line, ref.alias, mover))),
        };
      });
    },

    async removeAlias(request, context) {
      const ref = aliasRef(request.name);
      return mutating(registry, method.removeAlias, ref.project, request, async ({ id }) => {
        await existing(ref);
        const mover = moverOf(request, context);
        return {
          alias: aliasMessage(ref, await move(ref, id, (line) => removeAlias(line, ref.alias, mover))),
        };
      });
    },

    async getAlias(request) {
      const ref = aliasRef(request.name);
      return { alias: aliasMessage(ref, await existing(ref)) };
    },

    async listAliases(request) {
      const ref = names.model.parse(request.parent, 'parent');
      await store.model(ref);
      const { aliases } = await store.line(ref);
      return {
        aliases: aliases.filter((alias) => alias.version !== null).map((alias) => aliasMessage(ref, alias)),
      };
    },

    async listAliasMoves(request) {
      const ref = aliasRef(request.name);
      const { moves } = await existing(ref);
      const before = revisionOf(request.pageToken);
      const older = moves.filter((row) => row.revision < before).reverse();
      const page = older.slice(0, pageLimit(request.pageSize));
      return {
        moves: page.map((row) => moveMessage(ref, row)),
        nextPageToken: page.length < older.length ? String(page.at(-1)?.revision) : '',
      };
    },
  };
}

function aliasRef(name: string): ModelRef & { readonly alias: string } {
  const ref = names.alias.parse(name);
  if (isAlias(ref.alias)) return ref;
  throw invalidField(
    'name',
    `${JSON.stringify(ref.alias)} is no alias`,
    '[a-z][a-z0-9_-]*, at most 63 characters',
  );
}

/** A page of moves ends at a revision. */
function revisionOf(pageToken: string): number {
  if (pageToken === '') return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,14}$/.test(pageToken)) return Number(pageToken);
  throw invalidField('page_token', 'it is of another list', 'next_page_token of the page before');
}
