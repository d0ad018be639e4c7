import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { monitoringEvents, names } from '@millrace/contracts';
import type { Value } from '@millrace/contracts/common';
import {
  LogGroundTruthRequestSchema,
  LogGroundTruthResponseSchema,
  type MonitoringService,
} from '@millrace/contracts/monitoring';
import { invalidField } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { Handlers } from '@millrace/rpc';
import { mutate } from '@millrace/service';
import { isPlausible } from '../domain/window.ts';
import { toBytes } from '../store/column-codec.ts';
import type { Context } from './context.ts';

/** Ground truth that comes in by RPC is recorded with its event; the subscription to that event counts it. */
export function labelHandlers({
  store,
  ledger,
  now,
}: Context): Pick<Handlers<typeof MonitoringService>, 'logGroundTruth'> {
  return {
    logGroundTruth: (request, { method }) => {
      const segments = names.deployment.parse(request.deployment, 'deployment');
      const { project } = segments;
      const deployment = names.deployment.format(segments);
      const { inferenceIds, labels } = request;
      if (request.knownTime && !isPlausible(timestampMs(request.knownTime), now()))
        throw invalidField('known_time', 'is in the future', 'at most a day from now');
      if (labels.length !== inferenceIds.length) {
        throw invalidField(
          'labels',
          `are ${labels.length}`,
          `${inferenceIds.length}, one for each inference`,
        );
      }
      const values = Float64Array.from(labels, (label, i) => toNumber(label, `labels[${i}]`));
      const options = {
        ledger,
        method,
        project,
        input: LogGroundTruthRequestSchema,
        output: LogGroundTruthResponseSchema,
      };
      return mutate(options, request, async ({ id }) => {
        const knownMs = request.knownTime ? timestampMs(request.knownTime) : now();
        const data = { deployment, inferenceIds, labels, knownTime: timestampFromMs(knownMs) };
        const emit = [
          draft(monitoringEvents.groundTruthLogged, {
            project,
            resource: deployment,
            timeMs: now(),
            data,
            id,
          }),
        ];
        const doc = { deployment, knownMs, inferenceIds, values: toBytes(values) };
        await store.labels.upsert(id, (found) => (found ? undefined : { doc, emit }));
        return { recorded: labels.length };
      });
    },
  };
}

/** The number a label stands for; INVALID_FIELD for texts, bytes, times and nothing. */
function toNumber(label: Value, field: string): number {
  switch (label.kind.case) {
    case 'boolValue':
      return label.kind.value ? 1 : 0;
    case 'int64Value':
    case 'doubleValue':
      return Number(label.kind.value);
    default:
      throw invalidField(field, 'is no number and no truth value', 'bool_value, int64_value or double_value');
  }
}
