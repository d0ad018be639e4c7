import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { registryEvents } from '@millrace/contracts/registry-events';
import { isCoded } from '@millrace/errors';
import { createModel, logisticClassifier, writeModel } from '@millrace/onnx';
import { connect, type Millrace } from '@millrace/sdk';
import { startService } from '@millrace/testing';
import { readRecord } from '../demo/records.ts';
import { insist } from '../insist.ts';
import { type Call, notLinearizable } from '../register-history.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';

const clients = 50;
const versions = 4;

/** A call that was answered; one that moved the alias has its own words in the alias's history. */
interface Answered extends Call {
  readonly words: string;
}

interface Contest {
  /** All at once, from the same revision. */
  readonly rounds: number;
  /** Each at its own pace, from what it has read. */
  readonly steps: number;
  /** Whether they move the alias from the revision they read only, or from wherever it is. */
  readonly compares: boolean;
}

/** Clients move one alias against each other; meanwhile the registry is killed. */
async function contend(chance: Chance, { rounds, steps, compares }: Contest): Promise<Outcome> {
  await using service = await startService('registry', {
    env: { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' },
  });
  const open = () => connect({ endpoints: { services: { registry: service.address } }, project: 'default' });
  const people = Array.from({ length: clients }, open);
  try {
    const name = await prepare(people[0]!);
    const answered: Answered[] = [];
    const breaches: string[] = [];
    const move = mover(name, compares, answered);
    const read = reader(name, answered);

    for (let round = 1; round <= rounds; round++) {
      const { revision, version } = await read(people[0]!);
      const all = people.map((person, i) =>
        move(person, { words: `round ${round}, client ${i}`, revision, version: other(version, i) }),
      );
      const winners = (await Promise.all(all)).filter((kind) => kind === 'move').length;
      if (winners !== 1) breaches.push(`round ${round} has ${winners} winners`);
    }

    const atTheirPace = people.map(async (person, i) => {
      for (let step = 1; step <= steps; step++) {
        const { revision, version } = await read(person);
        await move(person, { words: `step ${step}, client ${i}`, revision, version: other(version, i) });
      }
    });
    const kills = (async () => {
      for (let kill = 0; kill < 2; kill++) {
        await sleep(chance.between(50, 400));
        await service.kill9();
        await service.restart();
      }
    })();
    await Promise.all([...atTheirPace, kills]);
    return await judge(people[0]!, answered, breaches);
  } finally {
    for (const person of people) person.close();
    // In order it would wait for NATS first.
    await service.kill9();
  }
}

/** Another version than the one the alias points to. */
const other = (version: number, i: number) => ((version + (i % (versions - 1))) % versions) + 1;

/** A model with some versions, and an alias that points to the first. */
async function prepare({ registry, parent }: Millrace): Promise<string> {
  const model = (await registry.createModel({ parent, modelId: 'contended' })).model!.name;
  for (let weight = 1; weight <= versions; weight++) {
    const part = logisticClassifier({ input: 'x', output: 'p', weights: [weight], bias: 0 });
    const inputs = [{ name: 'x', type: 'float32', shape: ['rows', 1] }] as const;
    const outputs = [{ name: 'p', type: 'float32', shape: ['rows', 1] }] as const;
    const chunk = writeModel(createModel({ ...part, inputs, outputs }));
    await registry.uploadModelVersion(
      (async function* () {
        yield { payload: { case: 'header' as const, value: { parent: model } } };
        yield { payload: { case: 'chunk' as const, value: chunk } };
      })(),
    );
  }
  const name = `${model}/aliases/champion`;
  await registry.setAlias({ name, version: 1 });
  return name;
}

function reader(name: string, answered: Answered[]) {
  return async ({ registry }: Millrace) => {
    const fromMs = performance.now();
    const { alias } = await insist(() => registry.getAlias({ name }));
    const revision = Number(alias!.revision);
    answered.push({ kind: 'read', words: '', revision, fromMs, toMs: performance.now() });
    return { revision, version: Number(alias!.modelVersion.split('/').at(-1)) };
  };
}

interface Move {
  readonly words: string;
  readonly revision: number;
  readonly version: number;
}

function mover(name: string, compares: boolean, answered: Answered[]) {
  return async ({ registry }: Millrace, { words, revision, version }: Move): Promise<Call['kind']> => {
    const fromMs = performance.now();
    const requestId = words.replaceAll(/[ ,]+/g, '-');
    const expectedRevision = compares ? BigInt(revision) : 0n;
    const request = { name, version, expectedRevision, comment: words, requestId };
    const note = (kind: 'move' | 'conflict', at: number) => {
      answered.push({ kind, words, revision: at, fromMs, toMs: performance.now() });
      return kind;
    };
    try {
      await insist(() => registry.setAlias(request));
      return note('move', revision + 1);
    } catch (error) {
      if (!isCoded(error, 'VERSION_CONFLICT')) throw error;
      return note('conflict', revision);
    }
  };
}

/** Compares what the clients were told with the moves that the registry has on record. */
async function judge(
  millrace: Millrace,
  answered: readonly Answered[],
  breaches: string[],
): Promise<Outcome> {
  const record = await readRecord(millrace, 'registry', [registryEvents.aliasMoved.type]);
  const moves = record.map(({ data }) => fromBinary(registryEvents.aliasMoved.schema, data));
  moves.forEach(({ revision, previousVersion }, i) => {
    if (Number(revision) !== i + 1) breaches.push(`move ${i + 1} on record is revision ${revision}`);
    if (previousVersion !== (moves[i - 1]?.version ?? 0))
      breaches.push(`revision ${revision} does not begin where the one before it ended`);
  });
  const name = moves[0]!.name;
  const { moves: kept } = await insist(() => millrace.registry.listAliasMoves({ name, pageSize: 1000 }));
  const revisions = new Map<string, number[]>();
  for (const { comment, revision } of kept)
    revisions.set(comment, [...(revisions.get(comment) ?? []), Number(revision)]);
  const oldest = Number(kept.at(-1)!.revision);
  let [lost, doubled] = [0, 0];
  for (const { kind, words, revision } of answered) {
    if (kind === 'read') continue;
    const made = revisions.get(words) ?? [];
    if (made.length > 1) doubled += 1;
    if (kind === 'conflict' && made.length > 0) breaches.push(`${words} was refused and moved the alias`);
    if (kind !== 'move') continue;
    // The registry keeps the newest moves of an alias in its history, and all of them in its record.
    if (made.length === 0) lost += revision >= oldest ? 1 : 0;
    else if (!made.includes(revision)) breaches.push(`${words} moved from another revision than it had read`);
  }
  breaches.push(...notLinearizable(answered));
  return { checked: answered.length, lost, doubled, breaches };
}

export const scenario: Scenario = {
  number: 35,
  name: '50 clients move one alias against each other, and the registry is killed',
  invariant: 'one winner a round; the history is linearizable',
  run: (chance) => contend(chance, { rounds: 12, steps: 4, compares: true }),
  // As few that the history keeps all of them.
  control: (chance) => contend(chance, { rounds: 2, steps: 1, compares: false }),
};
