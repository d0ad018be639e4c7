import { createHash } from 'node:crypto';
import type { Json } from '../../src/domain/json.ts';
import type { Executor, Exit } from '../../src/executor/executor.ts';
import type { Faults, Life } from './life.ts';
import type { World } from './world.ts';

/** A process of a step. It belongs to its machine, not to the orchestrator that asked for it. */
export interface Process {
  readonly id: string;
  ended?: Exit;
  stopped: boolean;
  /** Its folder was removed: nothing is known of it any more. */
  discarded: boolean;
}

/** A machine with its folder and supervisor: what runs on it survives orchestrators. */
export interface Host {
  readonly name: string;
  readonly processes: ReadonlyMap<string, Process>;
  /** The executor of one orchestrator on this machine. */
  connect(life: Life): Executor;
  /** The supervisor is killed, and all processes with it. */
  breakDown(): void;
  /** How many processes run. */
  running(): number;
}

export interface HostOptions {
  readonly name: string;
  readonly world: World;
  readonly faults: Faults;
  readonly cpu: number;
  /** Every attempt that any machine ever started. */
  readonly started: Set<string>;
  onBreach(breach: string): void;
}

type Behaviour = 'good' | 'bad' | 'hangs' | 'refused' | 'killed' | 'lost';

export function createHost({ name, world, faults, cpu, started, onBreach }: HostOptions): Host {
  const { chance } = world;
  const processes = new Map<string, Process>();
  const listeners = new Set<(id: string, exit: Exit) => void>();

  function end(process: Process, exit: Exit): void {
    if (process.ended) return;
    process.ended = exit;
    world.say(name, `${process.id} ends: ${JSON.stringify(exit)}`);
    for (const tell of listeners) tell(process.id, exit);
  }

  function spawn(id: string): void {
    const known = processes.get(id);
    // A late order starts nothing again: the folder tells.
    if (known) return;
    if (started.has(id)) onBreach(`${id} was started again, on ${name}`);
    started.add(id);
    const process: Process = { id, stopped: false, discarded: false };
    processes.set(id, process);
    const behaviour = behaviourOf(chance.random());
    world.say(name, `${id} starts, ${behaviour}`);
    const ms = chance.random() < 0.6 ? chance.between(1, 300) : chance.between(300, 6000);
    if (behaviour === 'refused') end(process, { kind: 'refused', reason: 'no such program' });
    if (behaviour === 'refused' || behaviour === 'hangs') return;
    const exits: Record<Exclude<Behaviour, 'refused' | 'hangs'>, Exit> = {
      good: { kind: 'exited', code: 0 },
      bad: { kind: 'exited', code: chance.between(1, 3) },
      killed: { kind: 'signalled', signal: 'SIGKILL' },
      lost: { kind: 'lost', reason: 'the machine had no room for it' },
    };
    world.after(ms, () => {
      if (!process.stopped) end(process, exits[behaviour]);
    });
  }

  function stop(id: string, graceMs: number, lost?: string): void {
    const process = processes.get(id);
    if (!process || process.ended || process.stopped) return;
    process.stopped = true;
    const polite = chance.random();
    const exit: Exit =
      lost !== undefined
        ? { kind: 'lost', reason: lost }
        : polite < 0.3
          ? { kind: 'exited', code: 0, stopped: true }
          : { kind: 'signalled', signal: polite < 0.7 ? 'SIGTERM' : 'SIGKILL' };
    world.after(polite < 0.7 ? chance.between(0, graceMs) : graceMs, () => end(process, exit));
  }

  function connect(life: Life): Executor {
    const observed = new Set<string>();
    const beginning = new Map<string, Promise<void>>();
    let closing = false;
    let listener: (id: string, exit: Exit) => void = () => {};
    const hear = (id: string, exit: Exit) => {
      if (closing || !observed.delete(id)) return;
      if (!life.isAlive()) return void listeners.delete(hear);
      if (chance.random() < faults.lostMessage) return world.say(life.name, `never hears that ${id} ended`);
      const times = chance.random() < faults.doubledMessage ? 2 : 1;
      for (let i = 0; i < times; i++) {
        const ms = chance.random() < faults.late ? chance.between(100, 8000) : chance.between(0, 5);
        life.after(ms, () => listener(id, exit));
      }
    };
    listeners.add(hear);
    const known = (id: string) => {
      const process = processes.get(id);
      return process?.discarded ? undefined : process;
    };
    return {
      capacity: { cpu, memoryBytes: 1 << 30 },
      start({ id }) {
        observed.add(id);
        const begun = life
          .askHere(`start ${id}`, () => spawn(id))
          .catch((error: unknown) => {
            observed.delete(id);
            throw error;
          })
          .finally(() => beginning.delete(id));
        beginning.set(id, begun);
        return begun;
      },
      onExit(tell) {
        listener = tell;
      },
      async recall(id) {
        await beginning.get(id)?.catch(() => {});
        return life.askHere(`recall ${id}`, () => {
          const process = known(id);
          if (!process) return { kind: 'unknown' };
          if (process.ended) return process.ended;
          observed.add(id);
          return { kind: 'running' };
        });
      },
      stop: (id, graceMs) => life.askHere(`stop ${id}`, () => stop(id, graceMs)),
      collect: (id, outputs) =>
        life.askHere(`collect ${id}`, () => {
          if (!known(id)) throw new Error(`the folder of ${id} is gone`);
          return {
            outputs: outputs.map((o) => ({
              name: o.name,
              kind: 'value' as const,
              value: outputOf(id, o.name),
            })),
          };
        }),
      keepLogs: (id) => life.askHere(`logs of ${id}`, () => ({ stdout: `sha256:${id}`, stderr: 'sha256:' })),
      readLog: async () => new Uint8Array(),
      discard: (id) =>
        life.askHere(`discard ${id}`, () => {
          const process = processes.get(id);
          if (process) process.discarded = true;
        }),
      async sweep(keep) {
        for (const process of await life.askHere('a list', () => [...processes.values()]))
          if (!(process.discarded && process.ended) && !(await keep(process.id)))
            await life.askHere(`the sweep of ${process.id}`, () => {
              if (process.ended) process.discarded = true;
              else stop(process.id, 1000);
            });
      },
      close: () =>
        life.askHere('close', () => {
          closing = true;
          for (const process of processes.values()) stop(process.id, 1000, 'the orchestrator was stopped');
        }),
    };
  }

  return {
    name,
    processes,
    connect,
    breakDown() {
      world.say(name, 'the supervisor is killed');
      for (const process of processes.values())
        end(process, { kind: 'lost', reason: 'the supervisor of its process went away' });
    },
    running: () => [...processes.values()].filter((process) => !process.ended).length,
  };
}

function behaviourOf(random: number): Behaviour {
  if (random < 0.72) return 'good';
  if (random < 0.86) return 'bad';
  if (random < 0.91) return 'hangs';
  if (random < 0.94) return 'refused';
  return random < 0.97 ? 'killed' : 'lost';
}

/** What an attempt puts out: `list` is a list of numbers, all else a number. It follows from the attempt's id. */
export function outputOf(id: string, output: string): Json {
  const bytes = createHash('sha256').update(`${id}/${output}`).digest();
  return output === 'list' ? [...bytes.subarray(0, bytes[0]! % 5)] : bytes[0]! % 10;
}
