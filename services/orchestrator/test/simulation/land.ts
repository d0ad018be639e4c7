import { create } from '@bufbuild/protobuf';
import { registryEvents } from '@millrace/contracts/registry-events';
import type { DocumentStore } from '@millrace/documents';
import type { AnyEvent } from '@millrace/events';
import { createCron } from '../../src/cron.ts';
import { isTerminalRun } from '../../src/domain/run.ts';
import type { Schedule } from '../../src/domain/schedule.ts';
import type { PipelineSpec } from '../../src/domain/spec.ts';
import type { Trigger } from '../../src/domain/trigger.ts';
import { createStore } from '../../src/store/store.ts';
import { handleEvent } from '../../src/triggers.ts';
import type { Breakage } from './controls.ts';
import { createFleet } from './fleet.ts';
import { createHost, type Host } from './host.ts';
import type { Faults } from './life.ts';
import { createMonitor } from './monitor.ts';
import { randomSpec } from './random-spec.ts';
import { checkRecord } from './record.ts';
import type { World } from './world.ts';

/** All that is in a world: pipelines, schedules, triggers, machines, orchestrators, and those who call them. */
export interface Land {
  /** Ends all faults: from now on everything must come to its end. */
  heal(): Promise<void>;
  isDone(): boolean;
  /** What is not done. */
  open(): readonly string[];
  /** What must hold once all is done. */
  checkEnd(): Promise<void>;
}

export interface LandOptions {
  readonly world: World;
  readonly documents: DocumentStore;
  readonly breakage: Breakage;
  onBreach(breach: string): void;
}

const project = 'default';
/** Worlds of seeds from here on are storms: many answers come later than a lease lasts. */
export const stormsFrom = 1_000_000;

export async function createLand({ world, documents, breakage, onBreach }: LandOptions): Promise<Land> {
  const { chance } = world;
  const sometimes = (most: number) => (chance.random() < 0.5 ? 0 : chance.random() * most);
  const faults: Faults = {
    refused: sometimes(0.03),
    torn: sometimes(0.03),
    late: chance.seed < stormsFrom ? sometimes(0.03) : 0.2,
    lostMessage: sometimes(0.1),
    doubledMessage: sometimes(0.2),
    ...breakage.faults,
  };
  const store = createStore(documents, world.now);
  const specs = new Map<string, PipelineSpec>();
  for (let i = 0; i < chance.between(1, 2); i++) {
    const spec = {
      ...randomSpec(chance),
      parameters: [{ name: 'n', type: 'int' as const, defaultValue: 3, description: '' }],
    };
    specs.set(`p${i}`, spec);
    await store.applyPipeline({ project, name: `p${i}`, description: '', spec, specDigest: `sha256:${i}` });
  }
  const pipelines = [...specs.keys()];
  const together = chance.random() < 0.25;
  const started = new Set<string>();
  const hosts: Host[] = (together ? ['h1'] : ['h1', 'h2']).map((name) =>
    createHost({ name, world, faults, cpu: 4, started, onBreach }),
  );
  // Two orchestrators of one machine do not know of each other’s steps, and
  // in storms leases are lost while steps go on, which nobody counts until they are stopped.
  const cpuOf = () => (together || chance.seed >= stormsFrom ? Number.POSITIVE_INFINITY : 4);
  const monitor = createMonitor({ specs, cpuOf, onBreach, say: world.say });
  const fleet = createFleet({
    world,
    documents,
    faults,
    breakage,
    hosts,
    onCommit: monitor.onCommit,
    onBreach,
  });
  const [a, b] = fleet.slots as [(typeof fleet.slots)[0], (typeof fleet.slots)[0]];
  let calls = 0;
  let healed = false;
  let resting = false;

  fleet.start(a);
  // On one machine the second is started only when the first seems to hang.
  if (!together) world.after(chance.between(0, 5000), () => fleet.start(b));
  for (let i = 0; i < chance.between(1, 4); i++) world.after(chance.between(0, 25_000), () => createRun(i));
  if (chance.random() < 0.5) await applySchedule();
  if (chance.random() < 0.5) {
    await applyTrigger();
    for (let i = 0; i < chance.between(2, 8); i++) world.after(chance.between(0, 35_000), () => publish(i));
  }
  for (let i = 0; i < chance.between(0, 6); i++) world.after(chance.between(500, 38_000), disturb);

  function call(what: string, act: Parameters<typeof fleet.call>[1], after: () => void = () => {}): void {
    calls += 1;
    fleet.call(what, act, () => {
      calls -= 1;
      after();
    });
  }

  function createRun(i: number, retryOf?: string): void {
    const request = {
      project,
      id: `run${i}`,
      pipeline:
        retryOf === undefined ? chance.pick(pipelines) : monitor.runs.get(`${project}/${retryOf}`)!.pipeline,
      version: 0,
      parameters: [{ name: 'n', value: chance.between(0, 5) }],
      tags: [],
      noCache: chance.random() < 0.2,
      origin: { kind: 'request' as const },
      ...(retryOf === undefined ? {} : { retryOf }),
    };
    call(`the creation of ${request.id}`, (replica) => replica.startRun(request));
    if (chance.random() < 0.35) world.after(chance.between(0, 15_000), () => cancel(request.id));
    else if (retryOf === undefined && chance.random() < 0.4)
      world.after(chance.between(3000, 15_000), () => {
        const state = monitor.runs.get(`${project}/${request.id}`)?.state;
        if (state && isTerminalRun(state) && state !== 'succeeded') createRun(i + 10, request.id);
      });
  }

  /** What the handler of CancelPipelineRun does. */
  function cancel(id: string): void {
    const force = chance.random() < 0.3;
    call(`the cancel of ${id}`, async ({ store: own, engine }) => {
      if (!(await own.runs.get(`${project}/${id}`))) return;
      const command = { do: 'stop', to: 'cancelled', reason: 'cancelled on request', force } as const;
      const changed = await own.changeRun(project, id, command);
      if (changed) await engine.submit(changed.doc);
    });
  }

  async function applySchedule(): Promise<void> {
    const cron = chance.pick(['*/5 * * * * *', '*/7 * * * * *', '*/15 * * * * *']);
    const at = world.now();
    const schedule: Schedule = {
      project,
      name: 'often',
      pipeline: chance.pick(pipelines),
      cron,
      timeZone: 'UTC',
      parameters: [],
      timeParameter: '',
      catchUp: chance.pick(['none', 'last', 'all']),
      maxCatchUp: chance.between(1, 5),
      overlap: chance.pick(['skip', 'buffer_one', 'allow', 'cancel_other']),
      paused: false,
      decidedUpToMs: at,
      nextAtMs: createCron(cron, 'UTC')(at) ?? null,
      lastReason: '',
      createdAtMs: at,
      updatedAtMs: at,
    };
    monitor.origins.schedule = schedule;
    await store.schedules.insert(`${project}/often`, schedule);
  }

  async function applyTrigger(): Promise<void> {
    const trigger: Trigger = {
      project,
      name: 'moved',
      pipeline: chance.pick(pipelines),
      eventType: registryEvents.aliasMoved.type,
      resource: '',
      condition: '',
      parameters: [],
      coolDownMs: chance.pick([0, 0, 5000]),
      maxConcurrentRuns: chance.pick([0, 1, 2]),
      paused: false,
      activeSinceMs: world.now(),
      lastReason: '',
      fireCount: 0,
      createdAtMs: world.now(),
      updatedAtMs: world.now(),
    };
    monitor.origins.trigger = trigger;
    await store.triggers.insert(`${project}/moved`, trigger);
  }

  /** An event happens and is delivered at least once. */
  function publish(i: number): void {
    const definition = registryEvents.aliasMoved;
    const event: AnyEvent = {
      id: `event${i}`,
      type: definition.type,
      project,
      resource: `projects/${project}/models/m/aliases/live`,
      timeMs: world.now(),
      sequence: i + 1,
      data: create(definition.schema, {}),
      definition,
      attempt: 1,
    };
    const deliver = () => call(`event ${i}`, ({ triggers }) => handleEvent(triggers, event));
    deliver();
    if (chance.random() < 0.3) world.after(chance.between(0, 20_000), deliver);
  }

  /** One of the faults that come by themselves. */
  function disturb(): void {
    if (healed) return;
    const slot = chance.pick(fleet.slots);
    const { life } = slot;
    switch (
      chance.pick(['kill', 'kill', 'kill at', 'kill at', 'freeze', 'freeze', 'jump', 'break', 'stop'])
    ) {
      case 'kill':
        life?.kill();
        break;
      case 'kill at':
        if (chance.random() < 0.5) life?.killAt(chance.between(1, 40));
        else
          life?.killAt(
            chance.between(1, 6),
            chance.pick(['tasks.upsert', 'runs.', 'start', 'schedules.change', 'triggers.change']),
          );
        break;
      case 'freeze':
        if (!life?.isAlive()) break;
        life.freeze();
        world.after(
          chance.random() < 0.3 ? chance.between(500, 8000) : chance.between(8000, 30_000),
          life.thaw,
        );
        if (together && chance.random() < 0.8) {
          const other = slot === a ? b : a;
          world.after(chance.between(0, 5000), () => fleet.start(other));
          // Whoever started the second ends the first, sooner or later.
          world.after(chance.between(10_000, 40_000), life.kill);
        }
        break;
      case 'jump': {
        const ms = chance.pick([-3_600_000, -10_000, 10_000, 3_600_000]);
        slot.aheadMs += ms;
        world.say(slot.name, `clock jumps by ${ms} ms`);
        if (chance.random() < 0.5)
          world.after(chance.between(1000, 20_000), () => {
            if (healed) return;
            slot.aheadMs -= ms;
            world.say(slot.name, `clock jumps back by ${ms} ms`);
          });
        break;
      }
      case 'break':
        slot.host.breakDown();
        break;
      case 'stop':
        fleet.stop(slot);
        break;
    }
  }

  function open(): string[] {
    const found: string[] = [];
    for (const run of monitor.runs.values())
      if (!isTerminalRun(run.state)) {
        const tasks = [...monitor.tasks.values()].filter((task) => task.run === run.id);
        const states = tasks.map((task) => `${task.key} ${task.state}`).join(', ');
        found.push(`${run.id} of ${run.pipeline} never ends: ${run.state}, ${states}`);
      }
    const { bufferedMs, starting } = monitor.schedule() ?? {};
    if (bufferedMs !== undefined || starting?.length) found.push('a time of the schedule waits for ever');
    for (const host of hosts)
      if (host.running() > 0) found.push(`${host.running()} processes on ${host.name} run for nobody`);
    if (calls > 0) found.push(`${calls} calls are never answered`);
    return found;
  }

  return {
    async heal() {
      healed = true;
      for (const fault of Object.keys(faults) as (keyof Faults)[]) faults[fault] = 0;
      fleet.heal();
      world.say('', 'all faults are healed');
      // What became due is decided before the schedule rests.
      world.after(20_000, () => {
        void world
          .during(
            store.schedules.upsert(`${project}/often`, (doc) =>
              doc ? { doc: { ...doc, paused: true, nextAtMs: null, updatedAtMs: world.now() } } : undefined,
            ),
          )
          .then(() => {
            resting = true;
          });
      });
    },
    isDone: () => resting && open().length === 0,
    open,
    checkEnd: () => checkRecord({ documents, store, monitor, onBreach }),
  };
}
