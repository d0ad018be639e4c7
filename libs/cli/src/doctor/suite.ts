import { resolve } from 'node:path';
import { streamOf } from '@millrace/contracts/event-type';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '@millrace/contracts/grpc-health';
import { from } from '@millrace/errors';
import type { Globals } from '../command.ts';
import { lastSequence } from '../event-record.ts';
import { lockOwner } from '../suite/lock.ts';
import { members } from '../suite/members.ts';
import { bad, type Finding, good, note } from './finding.ts';

const deadlineMs = 3_000;

/** The health of each service, and whether its stream has what its record has. */
export async function checkSuite(globals: Globals): Promise<Finding[]> {
  const { connect, findEndpoints } = await import('@millrace/sdk');
  const { createClient, grpcTransport } = await import('@millrace/rpc');
  let endpoints: ReturnType<typeof findEndpoints>;
  try {
    endpoints = findEndpoints(globals.env);
  } catch {
    return [note('no suite runs', 'start one with: millrace up')];
  }
  const stale =
    Object.keys(globals.env).every((name) => !/^MILLRACE_\w+_ADDRESS$/.test(name)) &&
    !lockOwner(resolve(globals.dataDir));
  const fix = stale
    ? 'the suite is gone without a farewell; start it with: millrace up'
    : `look at ${globals.dataDir}/logs`;
  const millrace = connect({ endpoints, project: globals.project, deadlineMs });
  const streams = await openStreams(endpoints.natsUrl);
  try {
    const checked = members.map(async ({ name, context }): Promise<Finding[]> => {
      const address = endpoints.services[context];
      if (!address) return [note(`${name}: its address is not known`)];
      const transport = grpcTransport({ address });
      try {
        const { status } = await createClient(Health, transport, { deadlineMs }).check({});
        if (status !== ServingStatus.SERVING) return [bad(`${name} at ${address} does not serve`, fix)];
        const recorded = await lastSequence(millrace.eventLog(context));
        return [await compare(`${name} at ${address}`, context, recorded, streams)];
      } catch (error) {
        return [bad(`${name} at ${address}: ${from(error).message}`, fix)];
      } finally {
        transport.close();
      }
    });
    const found = (await Promise.all(checked)).flat();
    if (streams === undefined) found.push(bad('NATS cannot be reached', fix));
    return found;
  } finally {
    millrace.close();
    await streams?.close();
  }
}

interface Streams {
  /** The record's sequence number in the newest message of a stream; undefined when there is no stream. */
  newest(stream: string): Promise<number | undefined>;
  close(): Promise<void>;
}

async function openStreams(url: string | undefined): Promise<Streams | undefined> {
  if (!url) return undefined;
  const { connectBus } = await import('@millrace/events');
  const bus = await connectBus({ url, name: 'doctor', waitMs: deadlineMs });
  try {
    await bus.connection();
  } catch {
    await bus.close();
    return undefined;
  }
  return {
    newest: async (stream) => {
      const manager = await bus.manager();
      try {
        const { state } = await manager.streams.info(stream);
        if (state.messages === 0) return 0;
        const message = await manager.streams.getMessage(stream, { seq: state.last_seq });
        return Number(message?.header.get('ce-sequence') ?? 0);
      } catch {
        return undefined;
      }
    },
    close: () => bus.close(),
  };
}

async function compare(
  text: string,
  context: Parameters<typeof streamOf>[0],
  recorded: number,
  streams: Streams | undefined,
): Promise<Finding> {
  const { name } = streamOf(context);
  const newest = await streams?.newest(name);
  if (newest === undefined)
    return streams && recorded > 0
      ? bad(`${text} serves; its stream ${name} is missing`, `millrace replay --context ${context}`)
      : good(`${text} serves; ${recorded} events recorded`);
  if (newest < recorded) {
    const behind = `${text} serves; its stream is behind its record (${newest} of ${recorded} events)`;
    return bad(
      behind,
      `it catches up within a minute; else: millrace replay --context ${context} --from ${newest + 1}`,
    );
  }
  return good(`${text} serves; ${recorded} events, all in its stream`);
}
