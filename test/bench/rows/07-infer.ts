import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '@millrace/testing';
import { ask, startChild } from '../floors/child.ts';
import { startEcho } from '../floors/echo.ts';
import { closedLoop } from '../load/closed.ts';
import { type Aim, atLeastOfFloor, type Row } from '../row.ts';
import { identityModel, layeredModel, mediumWidths, tinyModel } from '../served/models.ts';
import { requestFor, startServing } from '../served/serving.ts';

const seconds = 3;

const addedAtMost = (ms: number): Aim => ({
  text: `p50 ms ≤ the floor's + ${ms}`,
  holds: ({ ours, floor }) => (ours['p50 ms']?.median ?? Number.NaN) - (floor['p50 ms']?.median ?? 0) <= ms,
});

interface UnaryOptions {
  readonly name: string;
  readonly title: string;
  readonly model: () => Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly inFlight: number;
  readonly aims: readonly Aim[];
  readonly explanation?: string;
}

const unary = (options: UnaryOptions): Row => ({
  name: options.name,
  title: options.title,
  floor: 'bare grpc-js echo of the same bytes; and bare ONNX Runtime, one run after the other',
  aims: options.aims,
  ...(options.explanation ? { explanation: options.explanation } : {}),
  async open() {
    const { rows, columns, inFlight } = options;
    const folder = tempDir('millrace-bench-');
    const model = options.model();
    const file = join(folder.path, 'model.onnx');
    writeFileSync(file, model);
    const serving = await startServing();
    const echo = await startEcho();
    const runs = await startChild(new URL('../floors/onnx-runs.ts', import.meta.url), [
      file,
      `${rows}`,
      `${columns}`,
    ]);
    await serving.deploy('bench', model);
    const request = requestFor('bench', rows, columns);
    const answerBytes = await serving.infer(request);
    const figuresOf = (loop: Awaited<ReturnType<typeof closedLoop>>) => ({
      'calls/s': loop.perSecond,
      ...(inFlight === 1 ? { 'p50 ms': loop.p50 } : {}),
    });
    return {
      ours: async () =>
        figuresOf(await closedLoop({ inFlight, seconds, call: () => serving.infer(request) })),
      async floor() {
        const call = () => echo.unary(request.length, answerBytes);
        const echoed = figuresOf(await closedLoop({ inFlight, seconds, call }));
        return { ...echoed, 'bare runs/s': await ask<number>(runs, { seconds: 1 }) };
      },
      async close() {
        await Promise.all([runs.stop(), echo.close(), serving.close()]);
        await folder.remove();
      },
    };
  },
});

const streamed: Row = {
  name: 'infer-stream',
  title: 'ModelStreamInfer, tiny model, 64 unanswered',
  floor: 'the same requests as unary calls, 64 in flight',
  aims: [
    {
      text: 'requests/s ≥ 3 × unary',
      holds: ({ ratio }) => (ratio['requests/s']?.median ?? Number.NaN) >= 3,
    },
  ],
  explanation:
    'a stream spares the call and not the work. In a profile over both sides 12 % of the busy I/O thread was what calls cost (grpc-js 5 %, the RPC layer 5 %, HTTP/2 3 %); checks, batching and hand-off took 18 %, commits of the log 13 %, protobuf 7 %, and client, worker and I/O thread share two cores.',
  async open() {
    const serving = await startServing();
    await serving.deploy('bench', tinyModel());
    const request = requestFor('bench', 1, 4);
    const messages = 10_000;
    return {
      async ours() {
        const begun = performance.now();
        await serving.stream(request, messages, 64);
        return { 'requests/s': messages / ((performance.now() - begun) / 1000) };
      },
      async floor() {
        const loop = await closedLoop({ inFlight: 64, seconds, call: () => serving.infer(request) });
        return { 'requests/s': loop.perSecond };
      },
      close: () => serving.close(),
    };
  },
};

/** Shares and pairs below were measured in one run on a busy machine, ours and the echo in turn. */
const synced = (whole: number, off: number, echo: number) =>
  `Each answer waits for one commit and one fdatasync of the inference log (ADR 6): in pairs on a busy machine p50 was ${off} instead of ${whole} ms with the log off, beside an echo of ${echo} ms.`;

const sixtyPercent = atLeastOfFloor('calls/s', 0.6);
const tiny = { model: tinyModel, rows: 1, columns: 4 };
const medium = { model: () => layeredModel({ widths: mediumWidths }), rows: 1, columns: 256 };
const tensorColumns = 150_000;

export const rows: readonly Row[] = [
  unary({
    name: 'infer-tiny-1',
    title: 'ModelInfer, tiny model, 1 in flight',
    inFlight: 1,
    aims: [sixtyPercent, addedAtMost(1)],
    explanation: synced(5.4, 1.2, 0.4),
    ...tiny,
  }),
  unary({
    name: 'infer-tiny-64',
    title: 'ModelInfer, tiny model, 64 in flight',
    inFlight: 64,
    aims: [sixtyPercent],
    explanation:
      'Of the busy I/O thread 30 % went to gRPC, HTTP/2, sockets and protobuf, 12 % to commit and sync of the inference log, 9 % to garbage and 6 % to the hand-off to the worker; with the log off 1.5 times as many calls were answered.',
    ...tiny,
  }),
  unary({
    name: 'infer-medium-1',
    title: 'ModelInfer, medium model (1.3 M weights), 1 in flight',
    inFlight: 1,
    aims: [addedAtMost(1)],
    explanation: synced(5.9, 1.3, 0.3),
    ...medium,
  }),
  unary({
    name: 'infer-medium-64',
    title: 'ModelInfer, medium model (1.3 M weights), 64 in flight',
    inFlight: 64,
    aims: [sixtyPercent],
    explanation:
      'The model shares two cores with client and I/O: 60 % of the echo’s rate is more than bare ONNX Runtime makes with a core of its own and a row at a time.',
    ...medium,
  }),
  streamed,
  unary({
    name: 'infer-600kb',
    title: 'ModelInfer, 600 KB in and out, 4 in flight',
    model: () => identityModel(tensorColumns),
    rows: 1,
    columns: tensorColumns,
    inFlight: 4,
    aims: [sixtyPercent],
    explanation:
      'Garbage collection took half of the busy I/O thread: each call makes new buffers of the tensor for the batch, the outputs, the message and its frame. With the log off it was no faster.',
  }),
];
