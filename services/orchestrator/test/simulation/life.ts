import { type CodedError, unavailable } from '@millrace/errors';
import type { World } from './world.ts';

/** How often what is outside a process fails it, each in [0, 1]. All 0 means healed. */
export interface Faults {
  /** A request is refused before it took effect. */
  refused: number;
  /** A request took effect, but its answer is lost. */
  torn: number;
  /** An answer or message is late by seconds. */
  late: number;
  /** A message of the executor never comes, or comes twice. */
  lostMessage: number;
  doubledMessage: number;
}

/**
 * One process of an orchestrator: it lives until it is killed, may be frozen for a while, and all it does outside of
 * itself takes time. When it is dead its code is never called again.
 */
export interface Life {
  readonly name: string;
  isAlive(): boolean;
  isFrozen(): boolean;
  /** Ends it in the middle of whatever it does. What it had asked for may still take effect. */
  kill(): void;
  freeze(): void;
  thaw(): void;
  /** Ends it at its n-th question from now on, of those that begin so. */
  killAt(question: number, beginning?: string): void;
  after(ms: number, act: () => void): () => void;
  /** Asks something outside: goes there, takes effect, and comes back, each in its time; never answered once it is dead. */
  ask<T>(what: string, act: () => T | Promise<T>): Promise<T>;
  /** Asks something on the same machine, where what was asked for arrives at once or never. */
  askHere<T>(what: string, act: () => T | Promise<T>): Promise<T>;
}

export function createLife(world: World, name: string, faults: Faults, onDeath: () => void): Life {
  const { chance } = world;
  let alive = true;
  let frozen = false;
  let questionsLeft = Number.POSITIVE_INFINITY;
  let counted = '';
  /** What would have happened while it was frozen. */
  let held: (() => void)[] = [];
  /** What it asked for that is still on its way, and how long that may go on after its death. */
  const onTheWay = new Map<() => void, number>();

  const within = (act: () => void) => () => {
    if (!alive) return;
    if (frozen) held.push(act);
    else act();
  };
  const latency = () =>
    chance.random() < faults.late
      ? // Sometimes for longer than a lease: what a lost holder asked for takes effect when another has taken over.
        chance.between(500, chance.random() < 0.2 ? 20_000 : 6000)
      : chance.random() < 0.5
        ? 0
        : chance.between(1, 15);
  const fault = (): CodedError => unavailable('the simulated world');

  function ask<T>(what: string, act: () => T | Promise<T>, onTheWayMs: number): Promise<T> {
    if (!alive) return new Promise(() => {});
    const counts = what.startsWith(counted);
    if (counts) questionsLeft -= 1;
    return new Promise((resolve, reject) => {
      const back = (answer: () => void) => void world.after(latency(), within(answer));
      const arrive = () => {
        onTheWay.delete(arrive);
        if (chance.random() < faults.refused) return back(() => reject(fault()));
        const torn = chance.random() < faults.torn;
        if (torn) world.say(name, `gets no answer to ${what}`);
        world.during(Promise.resolve().then(act)).then(
          (value) => back(() => (torn ? reject(fault()) : resolve(value))),
          (error: unknown) => back(() => reject(error as Error)),
        );
      };
      onTheWay.set(arrive, onTheWayMs);
      world.after(latency(), () => {
        if (onTheWay.has(arrive)) arrive();
      });
      if (counts && questionsLeft === 0) {
        world.say(name, `dies while it asks for ${what}`);
        life.kill();
      }
    });
  }

  const life: Life = {
    name,
    isAlive: () => alive,
    isFrozen: () => frozen,
    kill() {
      if (!alive) return;
      alive = false;
      world.say(name, 'is killed');
      const sent = [...onTheWay];
      onTheWay.clear();
      for (const [act, mostMs] of sent)
        if (chance.random() < 0.5) world.after(chance.between(0, chance.random() < 0.5 ? 50 : mostMs), act);
      held = [];
      onDeath();
    },
    freeze() {
      if (!alive || frozen) return;
      frozen = true;
      world.say(name, 'is frozen');
    },
    thaw() {
      if (!alive || !frozen) return;
      frozen = false;
      world.say(name, 'goes on');
      const acts = held;
      held = [];
      for (const act of acts) world.after(0, within(act));
    },
    killAt(question, beginning = '') {
      questionsLeft = question;
      counted = beginning;
    },
    after: (ms, act) => world.after(ms, within(act)),
    ask: (what, act) => ask(what, act, 15_000),
    askHere: (what, act) => ask(what, act, 50),
  };
  return life;
}
