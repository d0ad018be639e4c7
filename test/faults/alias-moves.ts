import { setTimeout as sleep } from 'node:timers/promises';
import { registryEvents } from '@millrace/contracts';
import { ParameterType } from '@millrace/contracts/pipelines';
import { type Bus, connectBus } from '@millrace/events';
import { connect, type Millrace } from '@millrace/sdk';
import { type ServiceName, startSuite, type TestSuite } from '@millrace/testing';
import { linear, register } from '../e2e/models.ts';
import type { Chance } from './scenario.ts';

/** Services with a NATS of their own, and clients of both. */
export interface Site extends AsyncDisposable {
  readonly suite: TestSuite;
  readonly millrace: Millrace;
  readonly bus: Bus;
}

export async function startSite(
  only: readonly ServiceName[],
  env: Readonly<Record<string, string>> = {},
): Promise<Site> {
  const suite = await startSuite({ only, env: { LOG_LEVEL: 'error', ...env } });
  const contexts = { orchestrator: 'pipelines', 'feature-store': 'features' } as const;
  const addresses = only.map((name) => [
    name in contexts ? contexts[name as keyof typeof contexts] : name,
    suite.service(name).address,
  ]);
  const services = Object.fromEntries(addresses);
  const millrace = connect({ endpoints: { services }, project: 'default', deadlineMs: 10_000 });
  const bus = await connectBus({ url: suite.nats.url, name: 'scenario' });
  return {
    suite,
    millrace,
    bus,
    [Symbol.asyncDispose]: async () => {
      millrace.close();
      await bus.close();
      await suite.stop();
    },
  };
}

/** The versions that aliases move between; the last one is for the last move. */
export const versions = 4;
const models = ['a', 'b', 'c'] as const;

/** Registers the models, with an alias each that points to their first version; answers the aliases' names. */
export async function prepareModels(millrace: Millrace): Promise<readonly string[]> {
  const { registry, parent } = millrace;
  return Promise.all(
    models.map(async (modelId) => {
      const { model } = await registry.createModel({ parent, modelId });
      for (let weight = 1; weight <= versions; weight++)
        await register(millrace, model!.name, linear([weight], weight));
      const name = `${model!.name}/aliases/live`;
      await registry.setAlias({ name, version: 1 });
      return name;
    }),
  );
}

/** Moves each alias `count` times, side by side; ends with the last version. Answers how many moves were acknowledged. */
export async function moveAliases(
  { registry }: Millrace,
  chance: Chance,
  aliases: readonly string[],
  count: number,
): Promise<number> {
  await Promise.all(
    aliases.map(async (name) => {
      let version = 1;
      for (let move = 1; move <= count; move++) {
        version = move === count ? versions : (version % (versions - 1)) + 1;
        await registry.setAlias({ name, version });
        await sleep(chance.between(0, 10));
      }
    }),
  );
  return aliases.length * count;
}

/** Makes a trigger that starts a run of a pipeline for each move of an alias. */
export async function applyMoveTrigger({ pipelines, triggers, parent }: Millrace): Promise<void> {
  const pipeline = `${parent}/pipelines/moved`;
  await pipelines.applyPipeline({
    pipeline: {
      name: pipeline,
      spec: {
        parameters: [{ name: 'move', type: ParameterType.STRING }],
        steps: [{ name: 'note', action: { case: 'command', value: { argv: ['true'] } } }],
      },
    },
  });
  await triggers.applyTrigger({
    trigger: {
      name: `${parent}/triggers/moved`,
      pipeline,
      eventType: registryEvents.aliasMoved.type,
      // Not for the first one, which only sets it.
      condition: 'event.data.previousVersion != 0',
      parameters: [
        {
          name: 'move',
          source: { case: 'expression', value: 'event.id' },
        },
      ],
    },
  });
}

/** The ids of the events for which a run was started, sorted. */
export async function startedMoves({ pipelineRuns, parent }: Millrace): Promise<string[]> {
  const { pipelineRuns: found } = await pipelineRuns.listPipelineRuns({ parent, pageSize: 1_000 });
  return found.map(({ parameters }) => String(parameters[0]?.value?.kind.value)).sort();
}
