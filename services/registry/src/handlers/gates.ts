import { names } from '@millrace/contracts';
import { RegistryService } from '@millrace/contracts/registry';
import { alreadyExists, invalidField, isCoded, notFound } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { expectOf } from '@millrace/service';
import { refuse } from '../domain/codes.ts';
import { changeGate, type Gate, gateFields, maxGates } from '../domain/gate.ts';
import { checkExpression } from '../expression/expressions.ts';
import { announce } from '../message/announce.ts';
import { decisionMessage, gateMessage } from '../message/resources.ts';
import type { Registry } from '../registry.ts';
import { gateKey, modelKey } from '../store/keys.ts';
import { decisionName, gateName } from '../store/names.ts';
import { present } from '../store/store.ts';
import { mutating } from './mutating.ts';
import { maskedFields, pageAfter, pageLimit } from './request.ts';

type Methods =
  | 'createGate'
  | 'getGate'
  | 'listGates'
  | 'updateGate'
  | 'deleteGate'
  | 'getGateDecision'
  | 'listGateDecisions';

export function gateHandlers(registry: Registry): Pick<Handlers<typeof RegistryService>, Methods> {
  const { store, now } = registry;
  const { method } = RegistryService;

  return {
    async createGate(request) {
      const ref = names.model.parse(request.parent, 'parent');
      const { alias, expression, dataset, allowFirst, description } = request.gate!;
      if (alias === '') throw invalidField('gate.alias', 'it is empty', 'the alias that the gate guards');
      checkExpression(expression, 'gate.expression');
      return mutating(registry, method.createGate, ref.project, request, async ({ id }) => {
        await store.model(ref);
        if ((await store.gates.count({ modelKey: modelKey(ref) })) >= maxGates)
          throw refuse('TOO_MANY_GATES', `the model has ${maxGates} gates already`);
        const gate: Gate = {
          ...ref,
          gate: request.gateId,
          alias,
          expression,
          dataset,
          allowFirst,
          description,
        };
        const emit = announce.gateChanged(gate, false, now());
        const stored = await store.gates
          .insert(gateKey(gate), gate, { requestId: id, emit })
          .catch((error: unknown) => {
            throw isCoded(error, 'ALREADY_EXISTS') ? alreadyExists(gateName(gate)) : error;
          });
        return { gate: gateMessage(stored) };
      });
    },

    async getGate(request) {
      const ref = names.gate.parse(request.name);
      return { gate: gateMessage(present(await store.gate(ref), () => notFound(request.name))) };
    },

    async listGates(request) {
      const ref = names.model.parse(request.parent, 'parent');
      await store.model(ref);
      const { alias } = request;
      const where = { modelKey: modelKey(ref), ...(alias ? { alias } : {}) };
      const page = await store.gates.find({ where, orderBy: [{ field: 'gate' }], limit: 1000 });
      return { gates: page.items.map(gateMessage) };
    },

    async updateGate(request) {
      const next = request.gate!;
      const ref = names.gate.parse(next.name, 'gate.name');
      const fields = maskedFields(request.updateMask, gateFields);
      const condition = expectOf(next.etag, 'gate.etag');
      if (fields.includes('expression')) checkExpression(next.expression, 'gate.expression');
      return mutating(registry, method.updateGate, ref.project, request, async ({ id }) => {
        present(await store.gate(ref), () => notFound(gateName(ref)));
        const { expression, dataset, allowFirst, description } = next;
        const stored = await store.gates.change(
          gateKey(ref),
          (gate) => {
            const doc = changeGate(gate, { ...gate, expression, dataset, allowFirst, description }, fields);
            return { doc, emit: announce.gateChanged(doc, false, now()) };
          },
          { ...condition, requestId: id },
        );
        return { gate: gateMessage(stored) };
      });
    },

    async deleteGate(request) {
      const ref = names.gate.parse(request.name);
      const condition = expectOf(request.etag, 'etag');
      return mutating(registry, method.deleteGate, ref.project, request, async ({ id }) => {
        const { doc } = present(await store.gate(ref), () => notFound(gateName(ref)));
        await store.gates.remove(gateKey(ref), {
          ...condition,
          emit: announce.gateChanged(doc, true, now(), id),
        });
        return {};
      });
    },

    async getGateDecision(request) {
      const { decision: id, ...ref } = names.gateDecision.parse(request.name);
      const found = await store.decision(id);
      const own = found && modelKey(found.doc) === modelKey(ref) ? found : undefined;
      return { decision: decisionMessage(id, present(own, () => notFound(decisionName(ref, id))).doc) };
    },

    async listGateDecisions(request) {
      const ref = names.model.parse(request.parent, 'parent');
      await store.model(ref);
      const { alias } = request;
      const page = await store.decisions.find({
        where: { modelKey: modelKey(ref), ...(alias ? { alias } : {}) },
        orderBy: [{ field: 'id', direction: 'desc' }],
        limit: pageLimit(request.pageSize),
        ...pageAfter(request.pageToken),
      });
      return {
        decisions: page.items.map((item) => decisionMessage(item.id, item.doc)),
        nextPageToken: page.next ?? '',
      };
    },
  };
}
