import { decideTask } from '../../src/domain/decide-task.ts';
import { isTerminalTask, type Task } from '../../src/domain/task.ts';
import { sha256 } from '../../src/engine/work.ts';
import type { StartRun } from '../../src/start-run.ts';
import { taskEvents } from '../../src/store/events.ts';
import { type Store, taskId } from '../../src/store/store.ts';
import type { Faults } from './life.ts';

/** A protection taken away, where the product's parts are put together. */
export interface Breakage {
  /** Faults in which the protection matters; others stand behind it in most worlds. */
  readonly faults?: Partial<Faults>;
  store(store: Store, now: () => number): Store;
  startRun(startRun: StartRun, now: () => number): StartRun;
}

export const unbroken: Breakage = { store: (store) => store, startRun: (startRun) => startRun };

/** Decides about a task that is not the stored one, and writes what comes of it as if it were. */
const decideOn = (store: Store, now: () => number, on: (stored: Task | undefined, held: Task) => Task) =>
  ({
    ...store,
    async changeTask(run, held, command) {
      const changed = await store.tasks.upsert(taskId(held), (stored) => {
        const decision = decideTask(on(stored, held), command, now());
        if ('refused' in decision) return undefined;
        return { doc: decision.task, emit: taskEvents(run, decision.task, decision.facts, now()) };
      });
      return changed!.doc;
    },
  }) satisfies Store;

export const breakages: Readonly<Record<string, Breakage>> = {
  'the check of the fence': {
    ...unbroken,
    faults: { late: 0.2 },
    store: (store) => ({
      ...store,
      async changeTask(run, task, command) {
        if (!('fence' in command)) return store.changeTask(run, task, command);
        const stored = (await store.tasks.get(taskId(task)))?.doc;
        const fence = stored?.attempts.at(-1)?.fence ?? command.fence;
        return store.changeTask(run, task, { ...command, fence });
      },
    }),
  },
  'compare-and-set at a claim': {
    ...unbroken,
    faults: { late: 0.2 },
    store(store, now) {
      const careless = decideOn(store, now, (_, held) => held);
      return {
        ...store,
        changeTask: (run, task, command) =>
          (command.do === 'claim' ? careless : store).changeTask(run, task, command),
      };
    },
  },
  'the refusal of ends in a terminal state': {
    ...unbroken,
    store(store, now) {
      const careless = decideOn(store, now, (stored, held) =>
        stored && isTerminalTask(stored.state) ? held : (stored ?? held),
      );
      return {
        ...store,
        changeTask: (run, task, command) =>
          (command.do === 'finish' || command.do === 'lose' ? careless : store).changeTask(
            run,
            task,
            command,
          ),
      };
    },
  },
  'the logical time in the id of a scheduled run': {
    ...unbroken,
    startRun: (startRun, now) => (request) =>
      startRun(
        request.origin.kind === 'schedule'
          ? { ...request, id: sha256(`${request.id}${now()}`).slice(0, 32) }
          : request,
      ),
  },
  'the events of a change': {
    ...unbroken,
    store: (store) => ({
      ...store,
      async changeRun(project, id, command) {
        if (command.do !== 'finish') return store.changeRun(project, id, command);
        const { outcome, reason } = command;
        return store.runs.change(`${project}/${id}`, (run) => ({ doc: { ...run, state: outcome, reason } }));
      },
    }),
  },
};
