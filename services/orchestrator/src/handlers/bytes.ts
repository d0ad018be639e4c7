import { setTimeout as sleep } from 'node:timers/promises';
import type { Digest } from '@millrace/blobs';
import {
  type GetTaskLogsRequest,
  type GetTaskLogsResponseSchema,
  LogStream,
} from '@millrace/contracts/pipelines';
import { invalidField, notFound, wrongState } from '@millrace/errors';
import type { Init } from '../convert/value.ts';
import type { Attempt, Task } from '../domain/task.ts';
import { attemptId } from '../engine/work.ts';
import type { Edge } from './edge.ts';
import { findTask } from './tasks.ts';

type Part = Init<typeof GetTaskLogsResponseSchema>;
const chunkBytes = 64 << 10;
/** How often a log that grows is looked at. */
const followMs = 200;

/** What an attempt wrote: from its files while it runs, from its blobs once it ended. */
export async function* taskLogs(
  edge: Edge,
  request: GetTaskLogsRequest,
  signal: AbortSignal,
): AsyncGenerator<Part> {
  const only = request.stream;
  const streams = [LogStream.STDOUT, LogStream.STDERR].filter(
    (s) => only === LogStream.UNSPECIFIED || only === s,
  );
  const offsets = new Map(streams.map((stream) => [stream, 0]));
  let number = request.attempt;
  for (;;) {
    const task = await findTask(edge, request.name);
    if (task.attempts.length === 0) {
      if (!request.follow || task.endedAtMs !== undefined) return;
      await sleep(followMs, undefined, { signal });
      continue;
    }
    number ||= task.attempts.length;
    const attempt = task.attempts[number - 1];
    if (!attempt) throw invalidField('attempt', `${number}`, `1 to ${task.attempts.length}`);
    for (const stream of streams)
      for await (const data of read(edge, task, attempt, stream, offsets.get(stream) ?? 0)) {
        const offset = offsets.get(stream) ?? 0;
        yield { stream, data, offset: BigInt(offset) };
        offsets.set(stream, offset + data.length);
      }
    if (attempt.state !== 'running' || !request.follow) return;
    await sleep(followMs, undefined, { signal });
  }
}

async function* read(
  edge: Edge,
  task: Task,
  attempt: Attempt,
  stream: LogStream,
  offset: number,
): AsyncGenerator<Uint8Array> {
  const digest = stream === LogStream.STDOUT ? attempt.stdout : attempt.stderr;
  if (attempt.state !== 'running') {
    if (digest !== undefined) yield* blobFrom(edge, digest as Digest, offset);
    return;
  }
  const id = attemptId({ id: task.run }, task.key, attempt.number);
  const name = stream === LogStream.STDOUT ? 'stdout' : 'stderr';
  for (let at = offset; ; ) {
    const bytes = await edge.executor.readLog(id, name, at, chunkBytes);
    if (bytes.length === 0) return;
    yield bytes;
    at += bytes.length;
  }
}

async function* blobFrom({ blobs }: Edge, digest: Digest, offset: number): AsyncGenerator<Uint8Array> {
  if (await blobs.stat(digest))
    for await (const chunk of blobs.get(digest, offset > 0 ? { offset } : undefined)) yield* pieces(chunk);
}

/** Messages stay small whatever the store reads at once. */
function* pieces(chunk: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += chunkBytes) yield chunk.subarray(at, at + chunkBytes);
}

/** The bytes of an artifact that a task produced. */
export async function* downloadOutput(
  edge: Edge,
  name: string,
  output: string,
): AsyncGenerator<{ data: Uint8Array }> {
  const task = await findTask(edge, name);
  const found = task.outputs.find((o) => o.name === output);
  if (!found) throw notFound(`output ${output} of ${name}`);
  if (found.kind !== 'artifact') throw wrongState(`output ${output} of ${name} is a value; GetTask has it`);
  for await (const chunk of edge.blobs.get(found.digest as Digest))
    for (const data of pieces(chunk)) yield { data };
}
