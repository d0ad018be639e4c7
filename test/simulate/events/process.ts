import { unavailable } from '@millrace/errors';
import type { Clock } from '@millrace/events';
import type { World } from './world.ts';

/** What becomes of a call that leaves a process. */
export type Fate = 'well' | 'crash before' | 'crash after' | 'refused' | 'torn';

/** One life of a process, from its start to its crash. What it awaits after its death never comes. */
export interface Life {
  /** `A1#2`: the second life of process A1. */
  readonly name: string;
  readonly alive: boolean;
  readonly clock: Clock;
  /** Does something in this life: not when it is dead, later when it is frozen. */
  later(ms: number, act: () => void): () => void;
  /** A call to a store: it may be refused, or done without an answer, or be the last of this life. */
  call<T>(what: string, act: () => Promise<T>): Promise<T>;
  kill(where: string): void;
  onDeath(act: () => void): void;
}

/** A process that is started again after each crash. */
export interface Process {
  readonly name: string;
  /** Undefined between two lives. */
  readonly life: Life | undefined;
  kill(why: string): void;
  freeze(ms: number): void;
  /** Starts it if it is dead, and thaws it. */
  heal(): void;
}

export function createProcess(world: World, name: string, boot: (life: Life) => void): Process {
  const { timeline, chance } = world;
  let life: Life | undefined;
  let lives = 0;
  let frozenUntil = 0;
  /** What waits for the end of a freeze, and how to call its timer off. */
  const waiting = new Map<() => void, () => void>();

  function start(): void {
    if (life) return;
    world.tell(name, `starts, life ${++lives}`);
    frozenUntil = 0;
    life = createLife();
    boot(life);
  }

  function createLife(): Life {
    const deaths: (() => void)[] = [];
    let alive = true;
    const epoch = Date.UTC(2026, 0, 1);
    const self: Life = {
      name: `${name}#${lives}`,
      get alive() {
        return alive;
      },
      clock: {
        now: () => epoch + timeline.now,
        monotonic: () => timeline.now,
        sleep: (ms, signal) =>
          new Promise((resolve) => {
            if (signal?.aborted) return resolve();
            const wake = () => {
              cancel();
              signal?.removeEventListener('abort', wake);
              if (alive) resolve();
            };
            const cancel = self.later(ms, wake);
            signal?.addEventListener('abort', wake);
          }),
      },
      later(ms, act) {
        let cancel = () => {};
        const attempt = () => {
          waiting.delete(attempt);
          if (!alive) return;
          if (frozenUntil <= timeline.now) return act();
          cancel = timeline.at(frozenUntil - timeline.now, attempt);
          waiting.set(attempt, cancel);
        };
        cancel = timeline.at(ms, attempt);
        return () => {
          waiting.delete(attempt);
          cancel();
        };
      },
      call: (what, act) =>
        new Promise((resolve, reject) => {
          if (!alive) return;
          const fate = world.fate();
          world.tell(self.name, `${what}${fate === 'well' ? '' : `: ${fate}`}`);
          if (fate === 'crash before') return self.kill(what);
          const answer = (settle: () => void) => self.later(world.latency(), settle);
          const lost = () => reject(unavailable('the document store'));
          if (fate === 'refused') return answer(lost);
          timeline.busy(act()).then(
            (value) => {
              if (fate === 'crash after') self.kill(what);
              else answer(() => (fate === 'torn' ? lost() : resolve(value)));
            },
            (error: unknown) => answer(() => reject(error)),
          );
        }),
      kill(where) {
        if (!alive) return;
        alive = false;
        life = undefined;
        world.tell(self.name, `dies at ${where}`);
        for (const act of deaths) act();
        timeline.at(chance.between(50, 3_000), start);
      },
      onDeath: (act) => deaths.push(act),
    };
    return self;
  }

  start();
  return {
    name,
    get life() {
      return life;
    },
    kill: (why) => life?.kill(why),
    freeze(ms) {
      world.tell(name, `is frozen for ${ms} ms`);
      frozenUntil = timeline.now + ms;
    },
    heal() {
      frozenUntil = 0;
      // A process that is let go on finds all its timers due.
      for (const [attempt, off] of [...waiting]) {
        off();
        attempt();
      }
      start();
    },
  };
}
