import type { DocumentStore } from '@millrace/documents';
import type { Breakage } from './controls.ts';
import { type Commit, faultyStore } from './faulty-store.ts';
import type { Host } from './host.ts';
import { createLife, type Faults, type Life } from './life.ts';
import { type Replica, startReplica } from './replica.ts';
import type { World } from './world.ts';

/** A place for an orchestrator: there is one after the other. */
export interface Slot {
  readonly name: string;
  readonly host: Host;
  /** How far its clock is ahead of the true time, in milliseconds. */
  aheadMs: number;
  life: Life | undefined;
  /** Present once it takes calls. */
  replica: Replica | undefined;
}

/** The orchestrators of a world. */
export interface Fleet {
  readonly slots: readonly Slot[];
  start(slot: Slot): void;
  /** Stops one gently, as SIGTERM does. */
  stop(slot: Slot): void;
  /** Asks a replica until it answers, another one when the first died, failed or takes too long. */
  call(what: string, act: (replica: Replica) => Promise<unknown>, onAnswer: () => void): void;
  /** No process dies of itself any more, and the dead come back. */
  heal(): void;
}

export interface FleetOptions {
  readonly world: World;
  readonly documents: DocumentStore;
  readonly faults: Faults;
  readonly breakage: Breakage;
  readonly hosts: readonly Host[];
  onCommit(commit: Commit): void;
  onBreach(breach: string): void;
}

export function createFleet(options: FleetOptions): Fleet {
  const { world, documents, faults, hosts } = options;
  const { chance } = world;
  const names = ['a', 'b'];
  const slots: Slot[] = names.map((name, i) => ({
    name,
    host: hosts[i % hosts.length]!,
    aheadMs: 0,
    life: undefined,
    replica: undefined,
  }));
  /** The last process on each machine, as the note in its folder tells it. */
  const lastOn = new Map<Host, Life>();
  let serial = 0;
  let healed = false;

  function start(slot: Slot): void {
    if (slot.life?.isAlive()) return;
    serial += 1;
    const life = createLife(world, `${slot.name}${serial}`, faults, () => {
      slot.replica = undefined;
      world.after(chance.between(100, healed ? 1000 : 15_000), () => start(slot));
    });
    slot.life = life;
    const before = lastOn.get(slot.host);
    lastOn.set(slot.host, life);
    // The note of the process before may have been cut short.
    const predecessor = before && !before.isAlive() && chance.random() < 0.9 ? before.name : undefined;
    if (!healed && chance.random() < 0.2) life.killAt(chance.between(1, 60));
    world.say(life.name, `starts on ${slot.host.name}`);
    const now = () => world.now() + slot.aheadMs;
    startReplica({
      ...options,
      life,
      host: slot.host,
      documents: faultyStore(documents, life, world.now, options.onCommit),
      now,
      predecessor,
    }).then(
      (replica) => {
        if (life.isAlive()) slot.replica = replica;
      },
      () => life.kill(),
    );
  }

  return {
    slots,
    start,
    stop(slot) {
      const { replica, life } = slot;
      if (!replica || !life || life.isFrozen()) return;
      world.say(life.name, 'is stopped');
      slot.replica = undefined;
      // A stop that hangs ends in a kill.
      replica.engine.close().then(life.kill, life.kill);
      world.after(10_000, life.kill);
    },
    call(what, act, onAnswer) {
      let answered = false;
      const attempt = () => {
        if (answered) return;
        const ready = slots.filter((slot) => slot.replica);
        const replica = ready.length > 0 ? chance.pick(ready).replica : undefined;
        // Whoever waits too long asks again, while the first call may still be under way.
        const callOff = world.after(replica ? 5000 : 200, attempt);
        if (!replica) return;
        act(replica).then(
          () => {
            callOff();
            if (answered) return;
            answered = true;
            world.say(replica.life.name, `answers ${what}`);
            onAnswer();
          },
          (error: Error) => {
            world.say(replica.life.name, `refuses ${what}: ${error.message}`);
            callOff();
            world.after(500, attempt);
          },
        );
      };
      attempt();
    },
    heal() {
      healed = true;
      for (const slot of slots) {
        slot.aheadMs = 0;
        slot.life?.killAt(Number.POSITIVE_INFINITY);
        slot.life?.thaw();
        if (!slot.life?.isAlive()) start(slot);
      }
    },
  };
}
