import { isCoded } from '@millrace/errors';
import type { Logger } from '@millrace/telemetry';
import type { Expressions } from '../domain/expression.ts';
import { graphOf } from '../domain/graph.ts';
import { isTerminalRun, type Run } from '../domain/run.ts';
import { createView, type RunView } from '../domain/view.ts';
import type { Executor } from '../executor/executor.ts';
import { type Store, taskId } from '../store/store.ts';
import { type Actor, createActor } from './actor.ts';
import type { ResultCache } from './cache.ts';
import { type Capacity, createCapacity } from './capacity.ts';
import { createJumps, type Jumps } from './jumps.ts';
import type { Shards } from './shards.ts';
import type { Timers } from './timers.ts';
import { createTurns } from './turns.ts';

export interface EngineOptions {
  readonly store: Store;
  readonly executor: Executor;
  readonly expressions: Expressions;
  readonly cache: ResultCache;
  readonly shards: Shards;
  readonly log: Logger;
  readonly now: () => number;
  readonly timers: Timers;
  /** In [0, 1). */
  readonly random: () => number;
  /** The name of this machine and folder, the same after a restart. */
  readonly host: string;
  /** The MILLRACE_ variables that tell steps where the services are. */
  readonly addresses: () => Readonly<Record<string, string>>;
}

export interface EngineDeps extends EngineOptions {
  readonly capacity: Capacity;
  readonly jumps: Jumps;
}

/** Drives every run that is this process's to its end. */
export interface Engine {
  /** Takes and extends leases, and lets go of the runs of lost ones. Call it several times within a lease. */
  renew(): Promise<void>;
  /** Takes up runs that nobody told of: those from before the start, from other replicas, and from lost leases. */
  scan(): Promise<void>;
  /** A run was created or changed by this process: no need to wait for the next scan. */
  submit(run: Run): Promise<void>;
  /** A run as its holder sees it, or as its documents tell. */
  view(run: Run): Promise<RunView>;
  /** Stops driving and stops the processes of steps; runs go on where they were at the next start. */
  close(): Promise<void>;
}

/** How often what nobody waits for any more is removed. */
const sweepEveryMs = 30_000;

export function createEngine(options: EngineOptions): Engine {
  const { store, executor, expressions, shards, log, now, timers } = options;
  const actors = new Map<string, Actor>();
  const loading = new Map<string, Promise<void>>();
  const owners = new Map<string, { actor: Actor; key: string }>();
  /** Shards all of whose open runs are known here, with the token under which that is so. */
  const surveyed = new Map<number, number>();
  const turns = createTurns();
  const shardNumbers = [...Array(shards.count).keys()];
  let closed = false;
  let sweepAtMs = 0;
  let waking = false;
  const capacity = createCapacity(executor.capacity, () => {
    if (waking) return;
    waking = true;
    // Runs that found no room look again, oldest first, once for all that ended at the same time.
    timers.after(0, () => {
      waking = false;
      for (const actor of actors.values()) actor.wake();
    });
  });
  const jumps = createJumps(options);
  executor.onExit((id, exit) => {
    const owner = owners.get(id);
    void owner?.actor.ended(id, owner.key, exit);
  });

  const idOf = (run: Pick<Run, 'project' | 'id'>) => `${run.project}/${run.id}`;
  // All runs of a pipeline are in one hand, so that their number can be limited without asking the store.
  const keyOf = (run: Run) => `${run.project}/${run.pipeline}`;

  const isSurveyed = (shard: number) => surveyed.has(shard) && surveyed.get(shard) === shards.tokenOf(shard);

  function letGo(run: Run, actor: Actor): void {
    if (actors.get(idOf(run)) === actor) actors.delete(idOf(run));
    turns.give(run);
    if (isTerminalRun(run.state)) jumps.end(`${run.id}/`);
    actor.drop();
  }

  /** Set when a run was turned away because not all runs are known. */
  let turnedAway = false;
  const hasRoom = () => {
    turnedAway ||= !isCounted();
    return isCounted() && capacity.hasRoom();
  };
  function wakeTurnedAway(): void {
    if (!turnedAway || !isCounted()) return;
    turnedAway = false;
    for (const actor of actors.values()) actor.wake();
  }
  /** Whether all that takes of the capacity is counted: every run of every shard of ours is known. */
  const isCounted = () =>
    shardNumbers.every((shard) => shards.tokenOf(shard) === undefined || isSurveyed(shard));

  /** Takes a run in hand, as long as its shard is held under this token. */
  async function load(stored: Run, token: number): Promise<void> {
    let run = stored;
    const shard = shards.shardOf(keyOf(run));
    const pipeline = await store.getVersion(run.project, run.pipeline, run.version);
    if (!pipeline) throw new TypeError(`version ${run.version} of ${keyOf(run)} does not exist`);
    const { spec } = pipeline;
    // A start that an earlier holder asked for may still be on its way.
    if (run.state === 'pending' && spec.maxConcurrentRuns > 0)
      run = (await store.changeRun(run.project, run.id, { do: 'adopt' }))?.doc ?? run;
    const tasks = await store.allTasks(run.project, run.id);
    // The lease was lost meanwhile, and with it what was read.
    if (shards.tokenOf(shard) !== token) return;
    const mayStart = (asked: Run) => {
      if (spec.maxConcurrentRuns === 0) return true;
      // Runs of the pipeline may be running that nobody here knows of yet.
      if (!isSurveyed(shards.shardOf(keyOf(asked)))) {
        turnedAway = true;
        return false;
      }
      const others = [...actors.values()]
        .map((other) => other.view.run)
        .filter((other) => keyOf(other) === keyOf(asked) && other.id !== asked.id);
      return turns.take(asked, others, spec.maxConcurrentRuns);
    };
    const actor: Actor = createActor(
      {
        ...options,
        jumps,
        capacity: { ...capacity, hasRoom },
        isOurs: () => shards.owns(keyOf(run)),
        mayStart,
        onState(changed) {
          if (changed.state !== 'pending') turns.give(changed);
          if (!isTerminalRun(changed.state)) return;
          letGo(changed, actor);
          wakePending();
        },
        own(attempt, key) {
          if (key === undefined) owners.delete(attempt);
          else owners.set(attempt, { actor, key });
        },
      },
      run,
      spec,
      graphOf(spec, expressions),
      tasks,
    );
    actors.set(idOf(run), actor);
    try {
      await actor.recover();
    } catch (error) {
      letGo(run, actor);
      throw error;
    }
    actor.wake();
  }

  /** Whether an attempt that this machine has is still somebody's here, and not lost to another machine. */
  async function isWanted(id: string, open: readonly Run[]): Promise<boolean> {
    if (owners.has(id)) return true;
    const [, runId, key, number] = /^([^-]+)-(.*)-(\d+)$/.exec(id) ?? [];
    const run = open.find((one) => one.id === runId);
    if (!run || key === undefined) return false;
    const found = await store.tasks.get(taskId({ project: run.project, run: run.id, key }));
    const attempt = found?.doc.attempts.at(-1);
    return attempt?.number === Number(number) && attempt.state === 'running' && attempt.host === options.host;
  }

  function wakePending(): void {
    for (const actor of actors.values()) if (actor.view.run.state === 'pending') actor.wake();
  }

  /** Takes a run up, once, however often it is asked for. */
  function take(run: Run): Promise<void> {
    const id = idOf(run);
    const known = loading.get(id);
    if (known) return known;
    const taken = (async () => {
      const token = shards.tokenOf(shards.shardOf(keyOf(run)));
      if (actors.has(id) || closed || token === undefined) return;
      const stored = await store.runs.get(id);
      if (!stored || isTerminalRun(stored.doc.state)) return;
      await load(stored.doc, token);
    })().finally(() => loading.delete(id));
    loading.set(id, taken);
    return taken;
  }

  /** Lets go of the runs of a shard, before anybody can take what is known of them for true. */
  function lose(shard: number): void {
    // It may come back under the same token, when only the answer to its extension was lost.
    surveyed.delete(shard);
    for (const [id, actor] of [...actors])
      if (shards.shardOf(keyOf(actor.view.run)) === shard) {
        log.warn({ run: id }, 'the lease of a run was lost; another replica has it');
        letGo(actor.view.run, actor);
      }
    // What it left running is stopped when the next holder has made up for it.
    sweepAtMs = 0;
  }

  /** Takes up all runs of our shards that are not in hand; answers all open runs. */
  async function survey(): Promise<readonly Run[]> {
    const under = shardNumbers.map((shard) => shards.tokenOf(shard));
    const unknown = new Set<number>();
    const open = await store.openRuns();
    for (const run of open) {
      if (!shards.owns(keyOf(run))) {
        unknown.add(shards.shardOf(keyOf(run)));
        continue;
      }
      // One that is being taken up is not in hand yet.
      const actor = loading.has(idOf(run)) ? undefined : actors.get(idOf(run));
      // Cancelled through another replica: the document knows, the holder does not yet.
      if (actor) {
        if (run.stop && (!actor.view.run.stop || (run.stop.force && !actor.view.run.stop.force)))
          actor.replaceRun(run);
      } else
        await take(run).then(
          () => {
            // Its lease may have been lost while it was taken up.
            if (!actors.has(idOf(run))) unknown.add(shards.shardOf(keyOf(run)));
          },
          (err: unknown) => {
            // What no trying again mends must not hold up the others.
            if (isCoded(err)) unknown.add(shards.shardOf(keyOf(run)));
            log.error({ err, run: run.id }, 'a run could not be taken up; it is tried again');
          },
        );
    }
    for (const [shard, token] of under.entries())
      if (token !== undefined && !unknown.has(shard)) surveyed.set(shard, token);
    wakeTurnedAway();
    return open;
  }

  return {
    async renew() {
      await shards.renew(lose);
      wakeTurnedAway();
      // Until it is known what runs in a shard that is new here, nothing starts.
      if (!isCounted())
        void survey().catch((err: unknown) => log.error({ err }, 'runs are taken up at the next scan'));
    },
    async scan() {
      const open = await survey();
      if (now() < sweepAtMs) return;
      sweepAtMs = now() + sweepEveryMs;
      await executor.sweep((id) => isWanted(id, open));
    },
    async submit(run) {
      if (closed || !shards.owns(keyOf(run))) return;
      const actor = actors.get(idOf(run));
      if (actor) actor.replaceRun(run);
      else await take(run);
    },
    async view(run) {
      const actor = actors.get(idOf(run));
      if (actor) return actor.view;
      const pipeline = await store.getVersion(run.project, run.pipeline, run.version);
      const graph = pipeline ? graphOf(pipeline.spec, expressions) : new Map();
      return createView(run, graph, await store.allTasks(run.project, run.id));
    },
    async close() {
      closed = true;
      for (const actor of actors.values()) actor.drop();
      await executor.close();
      await shards.release();
    },
  };
}
