import { type DescMethod, type DescService, type Message, toBinary } from '@bufbuild/protobuf';
import { EventLogService, IntegrityService } from '@millrace/contracts/common';
import { FeatureStoreService } from '@millrace/contracts/features';
import { GRPCInferenceService } from '@millrace/contracts/inference';
import { MonitoringService } from '@millrace/contracts/monitoring';
import {
  PipelineRunService,
  PipelineService,
  ScheduleService,
  TriggerService,
} from '@millrace/contracts/pipelines';
import { LineageService, RegistryService } from '@millrace/contracts/registry';
import { DeploymentService } from '@millrace/contracts/serving';
import { TrackingService } from '@millrace/contracts/tracking';
import { from } from '@millrace/errors';
import { grpcTransport, type Transport } from '@millrace/rpc';
import { damage, type ServiceName, type TestSuite } from '@millrace/testing';
import fc from 'fast-check';
import { extremeNumbers, type Filling, fill, hostileTexts } from './hostile.ts';
import { keyOf, type Recorded, sendsStream } from './record.ts';
import { spoil } from './spoil.ts';

/** What every process answers. */
const common = [EventLogService, IntegrityService];

/** Every RPC service of each process; the catalogue asks reflection whether these are all. */
export const offered: Readonly<Record<ServiceName, readonly DescService[]>> = {
  tracking: [TrackingService, ...common],
  registry: [RegistryService, LineageService, ...common],
  'feature-store': [FeatureStoreService, ...common],
  orchestrator: [PipelineService, PipelineRunService, ScheduleService, TriggerService, ...common],
  serving: [DeploymentService, GRPCInferenceService, ...common],
  monitoring: [MonitoringService, ...common],
};

/** An answer that no input may lead to. */
export interface Fault {
  readonly method: string;
  readonly what: string;
  readonly request: string;
}

/** How long an answer may take; streams that follow something are left after it. */
const deadlineMs = 10_000;
const watchMs = 150;

/** Sends bad requests to one method and answers what was wrong with the answers. */
export async function attack(
  suite: TestSuite,
  name: ServiceName,
  method: DescMethod,
  recorded: Recorded,
): Promise<readonly Fault[]> {
  const transport = grpcTransport({ address: suite.service(name).address });
  const faults: Fault[] = [];
  try {
    const send = async (bytes: readonly Uint8Array[], request: () => string) => {
      const what = judge(await answerOf(transport, method, bytes), suite);
      if (what) faults.push({ method: keyOf(method), what, request: request() });
    };
    const one = (...requests: Message[]) => {
      const bytes = requests.map((request) => toBinary(method.input, request));
      return send(bytes, () => requests.map(show).join('\n'));
    };
    const raw = (...bytes: readonly Uint8Array[]) =>
      send(bytes, () => bytes.map((one) => Buffer.from(one).toString('hex').slice(0, 600)).join('\n'));
    for (const filling of systematic()) await one(fill(method.input, filling));
    const samples = recorded.requests.get(keyOf(method)) ?? [];
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(2 ** 30)), async (numbers) => {
        const filling = mixed(numbers, recorded);
        await one(fill(method.input, filling));
        const noise = Uint8Array.from({ length: filling.pick(30) }, () => filling.pick(256));
        await raw(noise);
        // One message of a stream is spoilt or damaged, the others are as they were.
        const known = samples.length > 0 ? samples : [fill(method.input, filling)];
        const good = sendsStream(method) ? known.slice(0, 2) : [known[filling.pick(known.length)]!];
        const at = filling.pick(good.length);
        const count = 1 + filling.pick(2);
        await one(...good.with(at, spoil(method.input, good[at]!, count, filling.pick)));
        const bytes: Uint8Array[] = good.map((request) => toBinary(method.input, request));
        await raw(...bytes.with(at, damage(bytes[at]!, count, filling.pick)));
      }),
      { seed: 20_010_609, numRuns: follows(method) ? 10 : 30, endOnFailure: true },
    );
  } finally {
    transport.close();
  }
  return faults;
}

const plain: Omit<Filling, 'budget'> = {
  pick: () => 0,
  text: () => undefined,
  number: () => undefined,
  items: () => 1,
  set: () => true,
  depth: 4,
};

/** The empty request, and requests in which everything is wrong in the same way. */
function* systematic(): Generator<Filling> {
  for (const filling of wrongAlike()) yield { ...filling, budget: { left: 8000 } };
}

function* wrongAlike(): Generator<Omit<Filling, 'budget'>> {
  yield { ...plain, set: () => false };
  yield plain;
  yield { ...plain, items: () => 0 };
  for (const text of hostileTexts) yield { ...plain, text: () => text };
  for (const number of extremeNumbers) yield { ...plain, number: () => number };
  // Deep, and long: a list of lists, thousands of items.
  yield { ...plain, depth: 60, pick: (below) => Math.max(0, below - 1) };
  yield { ...plain, depth: 1, items: () => 5000 };
}

/** Right and wrong side by side, so that some requests pass the rules of the fields and reach the handler. */
function mixed(numbers: Iterator<number>, { names }: Recorded): Filling {
  const next = (below: number) => (below <= 0 ? 0 : ((numbers.next().value as number) ?? 0) % below);
  const wrong = next(3) === 0 ? 4 : 25;
  return {
    pick: next,
    text: () => (next(wrong) === 0 ? hostileTexts[next(hostileTexts.length)] : undefined),
    number: () => (next(wrong) === 0 ? extremeNumbers[next(extremeNumbers.length)] : undefined),
    items: () => next(4),
    set: () => next(8) !== 0,
    depth: 5,
    names,
    budget: { left: 400 },
  };
}

interface Answer {
  readonly kind: string;
  readonly text: string;
  readonly ms: number;
}

/** Sends messages as they are, also such as no client would make. */
async function answerOf(
  transport: Transport,
  method: DescMethod,
  requests: readonly Uint8Array[],
): Promise<Answer> {
  const begun = performance.now();
  const done = (kind: string, text: string) => ({ kind, text, ms: performance.now() - begun });
  const call = {
    method,
    path: `/${keyOf(method)}`,
    deadlineMs: Date.now() + deadlineMs,
    signal: follows(method) ? AbortSignal.timeout(watchMs) : undefined,
    metadata: {},
  };
  const sent = async function* () {
    yield* requests;
  };
  try {
    if (method.methodKind === 'unary') await transport.unary(call, requests[0] ?? new Uint8Array());
    else {
      let left = 3;
      for await (const _ of transport.stream(call, sent())) if (--left === 0) break;
    }
    return done('ok', '');
  } catch (error) {
    const coded = from(error);
    const told = [coded.message, coded.code, ...coded.violations.map((v) => `${v.field} ${v.description}`)];
    return done(coded.kind, [...told, JSON.stringify(coded.details)].join('\n'));
  }
}

function follows({ methodKind }: DescMethod): boolean {
  return methodKind === 'server_streaming' || methodKind === 'bidi_streaming';
}

/** Kinds that say that the service, not the caller, did something wrong. */
const never = ['internal', 'unknown', 'data_loss', 'unavailable', 'deadline_exceeded', 'unimplemented'];
const inner =
  /node_modules|\n\s+at \S.*:\d+:\d+\)?|\.ts:\d+|SQLITE_|\/src\/|TypeError|RangeError|undefined is not/;

function judge({ kind, text, ms }: Answer, suite: TestSuite): string | undefined {
  if (never.includes(kind)) return `${kind}: ${text}`;
  if (ms > deadlineMs / 2) return `took ${Math.round(ms)} ms`;
  return tellsOfInsides(text, suite) ? `tells of its insides: ${text}` : undefined;
}

/** Whether a text that callers see has words of the code, or paths of the services. */
export function tellsOfInsides(text: string, { dataDir }: Pick<TestSuite, 'dataDir'>): boolean {
  return inner.test(text) || text.includes(dataDir) || text.includes(process.cwd());
}

function show(request: Message): string {
  const text = JSON.stringify(request, (key, value: unknown) => {
    if (key === '$typeName') return undefined;
    if (typeof value === 'bigint') return `${value}n`;
    return typeof value === 'string' && value.length > 60 ? `${value.slice(0, 60)}…` : value;
  });
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}
