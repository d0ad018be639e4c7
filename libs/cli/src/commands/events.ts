import { fromBinary, toJson } from '@bufbuild/protobuf';
import { type Context, catalogue, contexts } from '@millrace/contracts';
import type { RecordedEvent } from '@millrace/contracts/common';
import { type AnyEvent, eventToJson } from '@millrace/events';
import { parseMoment, parseWhole } from '../cli/duration.ts';
import { unknown, usage } from '../cli/usage.ts';
import { command, type Globals, type Group } from '../command.ts';
import { lastSequence } from '../event-record.ts';
import { withSuite } from '../session.ts';
import { eventLine, shortType } from '../show/event-line.ts';
import { timestampMs } from '../show/format.ts';
import type { Output } from '../show/output.ts';
import { clip } from '../show/text.ts';

const typeOption = {
  type: 'string',
  multiple: true,
  value: 'TYPE',
  meaning: 'Only events of this type, for example alias.moved; may be repeated.',
} as const;

export const events: Group = {
  summary: 'follow and read events',
  commands: {
    tail: command({
      summary: 'Follows the events of all services, decoded, until Ctrl-C',
      args: [],
      options: {
        type: typeOption,
        since: {
          type: 'string',
          value: 'TIME',
          meaning: 'new, all, a time ago (10m) or a moment. Default: new.',
        },
        all: { type: 'boolean', meaning: 'Of all projects.' },
      },
      run: ({ options, globals, out }) => {
        const since = readSince(options.since ?? 'new');
        const types = (options.type ?? []).flatMap(resolveType);
        return follow(globals, out, {
          since,
          ...(types.length > 0 ? { types } : {}),
          ...(options.all ? {} : { project: globals.project }),
        });
      },
    }),
    list: command({
      summary: 'Lists recorded events, oldest first, from the services themselves',
      args: [],
      options: {
        type: typeOption,
        context: {
          type: 'string',
          multiple: true,
          value: 'CONTEXT',
          meaning: `One of ${contexts.join(', ')}; may be repeated. Default: all.`,
        },
        after: { type: 'string', value: 'N', meaning: 'After this sequence number of the one context.' },
        limit: {
          type: 'string',
          value: 'N',
          meaning: 'Most events of each context. Default: the newest 200.',
        },
        all: { type: 'boolean', meaning: 'Of all projects.' },
      },
      run: ({ options, globals, out }) => {
        const chosen = readContexts(options.context ?? []);
        if (options.after !== undefined && chosen.length !== 1)
          throw usage('--after needs one --context: each has a numbering of its own');
        const types = (options.type ?? []).flatMap(resolveType);
        const limit = options.limit === undefined ? 200 : parseWhole(options.limit, '--limit', 1);
        return list(globals, out, {
          contexts: chosen,
          types,
          limit,
          project: options.all ? '' : globals.project,
          ...(options.after === undefined ? {} : { after: parseWhole(options.after, '--after', 0) }),
        });
      },
    }),
  },
};

function readSince(text: string): 'new' | 'all' | Date {
  return text === 'new' || text === 'all' ? text : parseMoment(text, '--since', Date.now());
}

/** The contexts that were named; all when none was. */
export function readContexts(given: readonly string[]): readonly Context[] {
  if (given.length === 0) return contexts;
  return given.map((text) => {
    const found = contexts.find((context) => context === text);
    if (found) return found;
    throw unknown('context', text, contexts, `Known: ${contexts.join(', ')}.`);
  });
}

/** The catalogue's types that a text means: the whole type, or its end (`alias.moved`), or an entity (`alias`). */
export function resolveType(text: string): string[] {
  const all = [...catalogue.keys()];
  const wanted = `.${shortType(text)}`;
  const found = all.filter((type) => {
    const own = `.${shortType(type)}`;
    return own.endsWith(wanted) || own.includes(`${wanted}.`);
  });
  if (found.length > 0) return found;
  const words = all.flatMap((type) => [shortType(type), shortType(type).replace(/^[a-z]+\./, '')]);
  throw unknown('event type', text, words, 'The catalogue is in libs/contracts.');
}

interface Following {
  readonly since: 'new' | 'all' | Date;
  readonly types?: readonly string[];
  readonly project?: string;
}

function follow(globals: Globals, out: Output, options: Following): Promise<number> {
  return withSuite(globals, async (millrace) => {
    const { connectEvents } = await import('@millrace/sdk');
    const stop = new AbortController();
    const onSignal = () => stop.abort();
    process.once('SIGINT', onSignal);
    process.once('SIGTERM', onSignal);
    const timer = globals.timeoutGiven ? setTimeout(onSignal, globals.timeoutMs) : undefined;
    const bus = await connectEvents(millrace, 'cli');
    const onReady = () => out.progress('waiting for events; Ctrl-C ends …');
    try {
      for await (const event of bus.tail({ ...options, signal: stop.signal, onReady })) {
        const json = jsonOf(event);
        if (!json) continue;
        if (out.json) out.document(json);
        else out.line(clip(eventLine({ ...event, data: json.data }), out.width));
      }
    } finally {
      clearTimeout(timer);
      out.progress();
      await bus.close();
    }
    return 0;
  });
}

interface Listing {
  readonly contexts: readonly Context[];
  readonly types: readonly string[];
  readonly limit: number;
  readonly project: string;
  readonly after?: number;
}

function list(globals: Globals, out: Output, listing: Listing): Promise<number> {
  return withSuite(globals, async (millrace) => {
    const lists = await Promise.all(
      listing.contexts.map(async (context) => {
        const types = listing.types.filter((type) => type.startsWith(`millrace.${context}.`));
        if (listing.types.length > 0 && types.length === 0) return [];
        return readLog(millrace.eventLog(context), { ...listing, types });
      }),
    );
    const found = lists.flat().sort((a, b) => timeOf(a) - timeOf(b));
    if (out.json) out.document(found.map((event) => ({ ...headOf(event), data: dataOf(event) })));
    else if (found.length === 0) out.line('There are no such events.');
    for (const event of found) {
      const { type, resource } = event;
      const line = eventLine({ type, resource, timeMs: timeOf(event), data: dataOf(event) });
      out.line(clip(`${String(event.sequence).padStart(6)}  ${line}`, out.width));
    }
    return 0;
  });
}

/** The event as JSON; undefined for one that has no such form, which must not end the following of the others. */
function jsonOf(event: AnyEvent) {
  try {
    return eventToJson(event);
  } catch {
    return undefined;
  }
}

type Log = ReturnType<Parameters<Parameters<typeof withSuite>[1]>[0]['eventLog']>;

/** The newest events of a record, or those after a point. Filters apply at the service; the window then widens backwards. */
async function readLog(
  log: Log,
  { limit, types, project, after }: Omit<Listing, 'contexts'>,
): Promise<RecordedEvent[]> {
  const read = async (afterSequence: bigint) => {
    const found: RecordedEvent[] = [];
    for (let position = afterSequence; ; ) {
      const request = { afterSequence: position, types: [...types], project, pageSize: 100 };
      const { events } = await log.listEvents(request);
      found.push(...events);
      if (events.length === 0 || (after !== undefined && found.length >= limit)) return found;
      position = events.at(-1)!.sequence;
    }
  };
  if (after !== undefined) return (await read(BigInt(after))).slice(0, limit);
  const last = BigInt(await lastSequence(log));
  for (let back = BigInt(limit); ; back *= 8n) {
    const start = last > back ? last - back : 0n;
    const found = await read(start);
    if (found.length >= limit || start === 0n) return found.slice(-limit);
  }
}

const timeOf = (event: RecordedEvent) => (event.time ? timestampMs(event.time) : 0);

function dataOf({ type, data }: RecordedEvent) {
  const definition = catalogue.get(type);
  return definition ? toJson(definition.schema, fromBinary(definition.schema, data)) : { bytes: data.length };
}

function headOf({ sequence, id, type, project, resource, time }: RecordedEvent) {
  const at = time ? new Date(timestampMs(time)).toISOString() : '';
  return { sequence: Number(sequence), id, type, project, resource, time: at };
}
