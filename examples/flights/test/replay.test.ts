import type { DescService } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { FeatureStoreService, type PushRowsRequest } from '@millrace/contracts/features';
import { GRPCInferenceService, type ModelInferRequest } from '@millrace/contracts/inference';
import { type LogGroundTruthRequest, MonitoringService } from '@millrace/contracts/monitoring';
import { GateResultSchema, GateVerdict } from '@millrace/contracts/registry';
import { createClient, type Handlers, implement, memoryTransport } from '@millrace/rpc';
import { columnOf, type Millrace, numbersOf } from '@millrace/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tickMinutes } from '../data.ts';
import type { Flight } from '../replay/flights.ts';
import { replay } from '../replay/replay.ts';
import { startCounts } from '../replay/traffic.ts';
import { gateLine } from '../story.ts';

const tickMs = tickMinutes * 60_000;
const hourMs = 3_600_000;
const fromMs = Date.UTC(2001, 4, 28);

/** A service that answers some of its methods. */
function partly<S extends DescService>(service: S, some: Partial<Handlers<S>>) {
  const refuse = () => Promise.reject(new Error('not asked in this test'));
  const others = service.methods.map((method) => [method.localName, refuse]);
  const handlers = { ...Object.fromEntries(others), ...some } as Handlers<S>;
  const permissions = Object.fromEntries(
    service.methods.map((m) => [`${service.typeName}/${m.name}`, 'test']),
  );
  const transport = memoryTransport([implement(service, handlers)], { permissions });
  return createClient(service, transport, { deadlineMs: 5000 });
}

/** Everything the suite was told, in order. */
type Told =
  | { readonly kind: 'landed'; readonly view: string; readonly timesMs: readonly number[] }
  | { readonly kind: 'asked'; readonly id: string; readonly timesMs: readonly number[] }
  | { readonly kind: 'truth'; readonly ids: readonly string[]; readonly knownMs: number }
  | { readonly kind: 'morning'; readonly dayMs: number };

function listening(told: Told[]): Millrace {
  const features = partly(FeatureStoreService, {
    pushRows: async ({ view, rows }: PushRowsRequest) => {
      told.push({ kind: 'landed', view, timesMs: [...numbersOf(columnOf(rows!, 'landed_at'))] });
      return {};
    },
  });
  const inference = partly(GRPCInferenceService, {
    modelInfer: async ({ id, inputs, rawInputContents }: ModelInferRequest) => {
      const raw = rawInputContents[inputs.findIndex((input) => input.name === 'asked_at')]!;
      told.push({ kind: 'asked', id, timesMs: Array.from(new BigInt64Array(raw.slice().buffer), Number) });
      return { id, modelVersion: '1' };
    },
  });
  const monitoring = partly(MonitoringService, {
    logGroundTruth: async ({ inferenceIds, knownTime }: LogGroundTruthRequest) => {
      told.push({ kind: 'truth', ids: inferenceIds, knownMs: timestampMs(knownTime!) });
      return { recorded: inferenceIds.length };
    },
  });
  return { project: 'default', features, inference, monitoring } as unknown as Millrace;
}

/** Flights of two days, in the order of their landing, as the replay reads them. */
const flights = fc
  .array(
    fc.record({
      tick: fc.integer({ min: -6, max: 287 }),
      minutes: fc.integer({ min: 40, max: 600 }),
      delay: fc.integer({ min: -30, max: 180 }),
    }),
    { maxLength: 60 },
  )
  .map((list) =>
    list
      .map(({ tick, minutes, delay }, i): Flight => {
        const askedMs = fromMs + tick * tickMs;
        const landedMs = askedMs + (minutes + delay) * 60_000;
        const shared = { distance: 500, hour: 12, weekday: 1, delay, late: delay > 15 };
        return { ...shared, origin: `O${i % 3}`, route: `R${i % 5}`, askedMs, landedMs };
      })
      .filter((flight) => flight.landedMs >= fromMs)
      .sort((a, b) => a.landedMs - b.landedMs),
  );

test('nothing is told before it happened, and everything once', async () => {
  await fc.assert(
    fc.asyncProperty(flights, async (list) => {
      const told: Told[] = [];
      const counts = startCounts();
      const untilMs = fromMs + 48 * hourMs;
      const options = { flights: list, fromMs, untilMs, counts };
      await replay(listening(told), {
        ...options,
        onMorning: async (dayMs) => void told.push({ kind: 'morning', dayMs }),
      });

      // The clock of the replay is the newest moment it was told of; no feature row may be from beyond it.
      let now = fromMs - tickMs;
      const landings: number[] = [];
      const asked = new Map<string, number>();
      for (const one of told) {
        if (one.kind === 'asked') {
          const [time = 0] = one.timesMs;
          expect(time).toBeGreaterThanOrEqual(now);
          now = Math.max(now, time);
          for (const [row] of one.timesMs.entries())
            asked.set(one.timesMs.length === 1 ? one.id : `${one.id}/${row}`, time);
          // What has landed up to the question was told before it, and nothing else was.
          const before = list.filter((flight) => flight.landedMs <= time);
          expect(landings.filter((landedMs) => landedMs <= time)).toHaveLength(before.length);
          expect(landings.every((landedMs) => landedMs <= time)).toBe(true);
        } else if (one.kind === 'landed') {
          if (one.view.endsWith('origin_delays')) landings.push(...one.timesMs);
        } else if (one.kind === 'truth') {
          expect(one.knownMs % hourMs).toBe(0);
          now = Math.max(now, one.knownMs);
          for (const id of one.ids) {
            expect(asked.has(id)).toBe(true);
            expect(asked.get(id)).toBeLessThan(one.knownMs);
            asked.delete(id);
          }
        } else {
          // At six in the morning, about the day that ended at midnight.
          expect(one.dayMs).toBe(fromMs);
        }
      }
      const questions = list.filter((flight) => flight.askedMs >= fromMs && flight.askedMs < untilMs);
      expect(counts.predictions).toBe(questions.length);
      const last = untilMs - tickMs;
      expect(landings).toEqual(
        list.filter((flight) => flight.landedMs <= last).map((flight) => flight.landedMs),
      );
      expect(counts.labels).toBe(questions.length - asked.size);
      expect(told.filter((one) => one.kind === 'morning')).toHaveLength(1);
    }),
    { numRuns: 40 },
  );
});

test('a gate is told in numbers, in one line', () => {
  const number = (path: string, value: number) => ({ path, value: { case: 'number' as const, value } });
  const gate = 'projects/default/models/m/gates/better-than-champion';
  const result = create(GateResultSchema, {
    gate,
    verdict: GateVerdict.PASSED,
    inputs: [
      number('candidate.metrics["auc"]', 0.72516),
      number('champion.metrics["auc"]', 0.7074),
      number('candidate.metrics["log_loss"]', 0.5532),
      number('champion.metrics["log_loss"]', 0.5856),
      { path: 'has_champion', value: { case: 'flag', value: true } },
    ],
  });
  expect(gateLine(result)).toBe(
    'gate better-than-champion passed: auc 0.7252 against 0.7074, log_loss 0.5532 against 0.5856',
  );
  const alone = create(GateResultSchema, { gate, verdict: GateVerdict.REFUSED, reason: 'no evaluation' });
  expect(gateLine(alone)).toBe('gate better-than-champion refused: no evaluation');
});
