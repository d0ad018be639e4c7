import { LoggingMode } from '@millrace/contracts/serving';
import { closedLoop } from '../load/closed.ts';
import { type Aim, atMostTimesFloor, type Row } from '../row.ts';
import { layeredModel, mediumWidths } from '../served/models.ts';
import { requestFor, type Serving, startServing } from '../served/serving.ts';

/** Streams at saturation; serving runs up to 64 requests of each at the same time, and a batch holds 64 rows. */
const streams = 2;
const unanswered = 64;
const messages = 6000;

const rowsAtLeast = (times: number): Aim => ({
  text: `rows/s ≥ ${times} × without batching`,
  holds: ({ ratio }) => (ratio['rows/s']?.median ?? Number.NaN) >= times,
});

/** The same model twice, once with batches and once without; nothing is logged, so that runs are what differs. */
async function startBoth(): Promise<Serving> {
  const serving = await startServing();
  const model = layeredModel({ widths: mediumWidths });
  const logging = { mode: LoggingMode.OFF };
  await serving.deploy('batched', model, { logging });
  await serving.deploy('single', model, { logging, batching: { maxRows: 1 } });
  return serving;
}

const requestTo = (name: string) => requestFor(name, 1, mediumWidths[0] ?? 0);

const saturated: Row = {
  name: 'batching-saturated',
  title: `medium model, ${streams} streams with ${unanswered} requests of one row unanswered, not logged`,
  floor: 'the same without batching (max_rows 1)',
  aims: [rowsAtLeast(3)],
  async open() {
    const serving = await startBoth();
    const rate = async (name: string) => {
      const request = requestTo(name);
      const begun = performance.now();
      await Promise.all(
        Array.from({ length: streams }, () => serving.stream(request, messages / streams, unanswered)),
      );
      return { 'rows/s': messages / ((performance.now() - begun) / 1000) };
    };
    return {
      ours: () => rate('batched'),
      floor: () => rate('single'),
      close: () => serving.close(),
    };
  },
};

const alone: Row = {
  name: 'batching-alone',
  title: 'medium model, ModelInfer, 1 in flight: what batching adds when a worker is free',
  floor: 'the same without batching (max_rows 1)',
  aims: [atMostTimesFloor('p50 ms', 1.1)],
  async open() {
    const serving = await startBoth();
    const latency = async (name: string) => {
      const request = requestTo(name);
      const { p50 } = await closedLoop({ inFlight: 1, seconds: 3, call: () => serving.infer(request) });
      return { 'p50 ms': p50 };
    };
    return {
      ours: () => latency('batched'),
      floor: () => latency('single'),
      close: () => serving.close(),
    };
  },
};

export const rows: readonly Row[] = [saturated, alone];
