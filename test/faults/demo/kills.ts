import { setTimeout as sleep } from 'node:timers/promises';
import { TaskState } from '@millrace/contracts/pipelines';
import type { ServiceName } from '@millrace/testing';
import type { Chance } from '../scenario.ts';
import type { Game } from './play.ts';

/** One process that is killed with SIGKILL and started again. */
export interface Kill {
  readonly victim: ServiceName | 'nats';
  /** The line of the example after which it happens. */
  readonly after: RegExp;
  /** A step of the training that must have begun too; `run` counts the pipeline's runs from 1. */
  readonly step?: { readonly name: string; readonly run: number };
}

/**
 * What is killed, in the order of the play: the services that a training talks to, its conductor and NATS while the first
 * model is trained; each of them and NATS while flights are played; all that a retraining needs while it runs; and those
 * that go on afterwards.
 */
export const kills: readonly Kill[] = [
  { victim: 'feature-store', after: /are declared$/, step: { name: 'build', run: 1 } },
  { victim: 'tracking', after: /are declared$/, step: { name: 'train', run: 1 } },
  { victim: 'orchestrator', after: /are declared$/, step: { name: 'train', run: 1 } },
  { victim: 'nats', after: /are declared$/, step: { name: 'train', run: 1 } },
  { victim: 'registry', after: /are declared$/, step: { name: 'select', run: 1 } },
  { victim: 'serving', after: /it is served/ },
  { victim: 'feature-store', after: /2001-06-09 / },
  { victim: 'monitoring', after: /2001-06-10 / },
  { victim: 'nats', after: /2001-06-11 / },
  { victim: 'serving', after: /2001-06-12 / },
  { victim: 'monitoring', after: /2001-06-12 / },
  { victim: 'orchestrator', after: /: drift$/, step: { name: 'build', run: 2 } },
  { victim: 'tracking', after: /: drift$/, step: { name: 'train', run: 2 } },
  { victim: 'nats', after: /: drift$/, step: { name: 'train', run: 2 } },
  { victim: 'registry', after: /: drift$/, step: { name: 'select', run: 2 } },
  { victim: 'monitoring', after: /: drift$/, step: { name: 'watch', run: 2 } },
  { victim: 'feature-store', after: /2001-06-14 / },
  { victim: 'serving', after: /2001-06-14 / },
];

/** Kills one after the other; answers those that found their moment. */
export async function killAll(game: Game, { random }: Chance): Promise<readonly Kill[]> {
  const done: Kill[] = [];
  for (const kill of kills) {
    const [waitMs, awayMs] = [random() * 700, random() * 800];
    try {
      await game.line(kill.after);
    } catch {
      continue;
    }
    if (kill.step && !(await stepRuns(game, kill.step))) continue;
    await sleep(waitMs);
    if (game.over) break;
    await strike(game, kill.victim, awayMs);
    done.push(kill);
  }
  return done;
}

async function strike({ suite }: Game, victim: Kill['victim'], awayMs: number): Promise<void> {
  if (victim === 'nats') {
    await suite.nats.kill();
    await sleep(awayMs);
    return suite.nats.restart();
  }
  await suite.service(victim).kill9();
  await sleep(awayMs);
  await suite.service(victim).restart();
}

/**
 * Waits until a step of the n-th run is running, or was: where what was killed before took long to come back, it may be
 * over. False when that run ended without.
 */
async function stepRuns(game: Game, step: { readonly name: string; readonly run: number }): Promise<boolean> {
  const { pipelineRuns, parent } = game.millrace;
  while (!game.over) {
    try {
      const { pipelineRuns: runs } = await pipelineRuns.listPipelineRuns({ parent });
      const run = runs.sort((a, b) => (a.name < b.name ? -1 : 1))[step.run - 1];
      if (run) {
        const { tasks } = await pipelineRuns.listTasks({ parent: run.name, pageSize: 100 });
        const mine = tasks.filter((task) => task.step === step.name);
        if (mine.some((task) => task.state >= TaskState.RUNNING)) return true;
        if (run.endTime) return false;
      }
    } catch {
      // It is away; soon it is back.
    }
    await sleep(50);
  }
  return false;
}
