import { timestampMs } from '@bufbuild/protobuf/wkt';
import { monitoringEvents, servingEvents } from '@millrace/contracts';
import { type Bus, handler, type Log, type Subscription, subscribe } from '@millrace/events';
import { isPlausible } from './domain/window.ts';
import { fromBatch } from './store/column-codec.ts';
import { takeLabels, takeRows } from './store/intake.ts';
import type { Store } from './store/store.ts';

/**
 * The event edge. Both consumers take one event at a time: windows close by event time, so the order in which batches
 * come in decides which rows a report holds, and a replay must hold the same.
 */
export async function startSubscriptions(
  bus: Bus,
  store: Store,
  log: Log,
  now: () => number,
  wake: () => void,
): Promise<readonly Subscription[]> {
  const rows = subscribe(bus, {
    durable: 'monitoring-inference',
    ordered: true,
    log,
    on: [
      handler(servingEvents.inferenceLogged, async ({ id, data, timeMs }) => {
        // Answers given in the shadow were seen by nobody.
        if (data.shadow) return;
        await takeRows(
          store,
          {
            id,
            deployment: data.deployment,
            modelVersion: data.modelVersion,
            loggedMs: timeMs,
            inferenceIds: data.inferenceIds,
            timesMs: data.eventTimes.map((micros) => Number(micros) / 1000),
            inputs: fromBatch(data.inputs, 'inputs'),
            outputs: fromBatch(data.outputs, 'outputs'),
          },
          now(),
        );
        wake();
      }),
    ],
  });
  const labels = subscribe(bus, {
    durable: 'monitoring-ground-truth',
    ordered: true,
    log,
    on: [
      handler(monitoringEvents.groundTruthLogged, async ({ id, data, timeMs }) => {
        const { deployment, inferenceIds } = data;
        const knownMs = data.knownTime ? timestampMs(data.knownTime) : timeMs;
        // It would end every wait for labels until then; the RPC refuses it.
        if (!isPlausible(knownMs, timeMs)) return;
        const values = Float64Array.from(inferenceIds, (_, i) => {
          const kind = data.labels[i]?.kind;
          if (kind?.case === 'boolValue') return kind.value ? 1 : 0;
          return kind?.case === 'doubleValue' || kind?.case === 'int64Value'
            ? Number(kind.value)
            : Number.NaN;
        });
        await takeLabels(store, { id, deployment, knownMs, inferenceIds, values });
        wake();
      }),
    ],
  });
  return Promise.all([rows, labels]);
}
