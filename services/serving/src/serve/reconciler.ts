import { CodedError, from, isCoded } from '@millrace/errors';
import { type Deployment, type TargetSpec, type TargetStatus, targetKey } from '../domain/deployment.ts';
import { lookupProblem } from '../domain/lookup.ts';
import { followAlias, recordFailed, recordLoaded, recordWaiting } from '../domain/rollout.ts';
import type { Engine } from '../engine/engine.ts';
import { nameOf, type ServingStore, versionName } from '../store.ts';
import { type LiveTarget, type Routes, respecify } from './live.ts';
import { createLoader, unfit } from './loader.ts';
import type { ModelSource } from './model-source.ts';
import { type Retry, rests, retryAtMs } from './retry.ts';

export interface ReconcilerOptions {
  readonly store: ServingStore;
  readonly source: ModelSource;
  readonly engine: Engine;
  readonly routes: Routes;
  /** The workers there are: the most instances a model can have. */
  readonly workers: number;
  now(): number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Makes what runs equal to what is stored. */
export interface Reconciler {
  /** Shows every stored deployment as not ready, so that a service that has just started knows their names. */
  start(): Promise<void>;
  /** The same for one that another replica created. */
  discover(key: string): Promise<void>;
  /** Brings one deployment to its stored state; settles when it is there, or when it is known why not. */
  reconcile(key: string): Promise<void>;
  /** Brings to their state those that changed since, and tries again what failed and is due. */
  sweep(): Promise<void>;
  /** Asks the registry where all aliases point. */
  refreshAliases(): Promise<void>;
  /** Waits for loads under way and for replaced models to drain. */
  close(): Promise<void>;
}

/** What is known here of one deployment. */
interface Held {
  /** The version of the document that was applied last. */
  applied: number;
  running: Promise<void> | undefined;
  again: boolean;
  /** Targets that did not load. */
  readonly retries: Map<string, Retry>;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { store, source, routes, now, log } = options;
  const held = new Map<string, Held>();
  const drains = new Set<Promise<void>>();
  let closing = false;

  /** Shows requests a new state; those that hold the old one keep it until they are answered. */
  const show = (key: string, doc: Deployment, targets: readonly LiveTarget[]) => {
    const reasons = new Map(doc.spec.targets.map((t, i) => [targetKey(t), doc.statuses[i]?.reason ?? '']));
    const { project, id, spec, unloaded } = doc;
    routes.set(key, { project, id, name: nameOf(key), spec, unloaded, targets, reasons });
  };

  /** Unloads a model that is shown no more, once its last request is answered. */
  const retire = (key: string, target: LiveTarget, reason: string) => {
    const drain = (async () => {
      await target.idle();
      await target.model.close();
      await store.recordUnloaded(key, versionName(target.spec.model, target.version), reason);
    })().catch((err: unknown) => log.warn({ err, key }, 'an unloading was not recorded'));
    drains.add(drain);
    void drain.finally(() => drains.delete(drain));
  };

  const { load, settingsOf } = createLoader(options);

  /** Puts a loaded model in the place of the one before. */
  const install = (key: string, doc: Deployment, live: LiveTarget, before: LiveTarget | undefined) => {
    const shown = routes.all.get(key)?.targets ?? [];
    show(key, doc, [...shown.filter((t) => t.key !== live.key), live]);
    if (before) retire(key, before, `replaced by version ${live.version}`);
  };

  /**
   * After a start: the version that answered before answers again while the wanted one is loaded, and also when the
   * wanted one cannot be.
   */
  const revive = async (key: string, doc: Deployment, target: TargetSpec, status: TargetStatus) => {
    const { loadedVersion, loadedDigest, wantedVersion } = status;
    if (loadedVersion === 0 || loadedVersion === wantedVersion) return;
    try {
      const { live } = await load(key, doc, target, loadedVersion, loadedDigest);
      install(key, doc, live, undefined);
    } catch (err) {
      log.warn({ err, deployment: nameOf(key), version: loadedVersion }, 'what answered before is lost');
    }
  };

  /** Brings one target to its state and returns the document as it is then. */
  const applyTarget = async (
    key: string,
    given: Deployment,
    target: TargetSpec,
    h: Held,
  ): Promise<Deployment> => {
    const id = targetKey(target);
    let doc = given;
    const statusOf = () => doc.statuses[doc.spec.targets.findIndex((t) => targetKey(t) === id)];
    const liveOf = () => routes.all.get(key)?.targets.find((t) => t.key === id);
    try {
      let status = statusOf();
      if (!status) return doc;
      if (!liveOf()) await revive(key, doc, target, status);
      if (rests(h.retries.get(id), status, now())) return doc;
      // A removed alias: the news of its next move ends this.
      if (status.wantedVersion === 0 && status.state === 'failed') return doc;
      if (target.alias && status.wantedVersion === 0) {
        const found = await source.resolveAlias(target.model, target.alias);
        const move = { model: target.model, alias: target.alias, ...found };
        doc = (await store.change(key, (current) => followAlias(current, move, now()))).doc;
        status = statusOf();
        if (!status || status.wantedVersion === 0) throw unset(target);
      }
      const live = liveOf();
      if (live && live.version === status.wantedVersion && live.settings === settingsOf(doc)) {
        const problem = doc.spec.lookup && lookupProblem(doc.spec.lookup, live.model.signature);
        if (problem) throw unfit(problem);
        h.retries.delete(id);
        return (await recordReady(key, live, 0)).doc;
      }
      const loaded = await load(key, doc, target, status.wantedVersion, status.digest);
      install(key, doc, loaded.live, live);
      h.retries.delete(id);
      log.info(
        { deployment: nameOf(key), version: loaded.live.version, ms: loaded.loadMs },
        'a model answers',
      );
      return (await recordReady(key, loaded.live, loaded.loadMs)).doc;
    } catch (error) {
      return recordProblem(key, doc, target, liveOf()?.version ?? 0, from(error), h);
    }
  };

  const recordReady = (key: string, { key: id, version, digest, model }: LiveTarget, loadMs: number) =>
    store.change(key, (current) =>
      recordLoaded(current, id, { version, digest, loadMs, memoryBytes: model.memoryBytes }, now()),
    );

  const recordProblem = async (
    key: string,
    doc: Deployment,
    target: TargetSpec,
    keptVersion: number,
    error: CodedError,
    h: Held,
  ): Promise<Deployment> => {
    const id = targetKey(target);
    const times = (h.retries.get(id)?.times ?? 0) + 1;
    const status = doc.statuses[doc.spec.targets.findIndex((t) => targetKey(t) === id)];
    const version = status?.wantedVersion ?? 0;
    log.warn({ err: error, deployment: nameOf(key), version }, 'a model did not load');
    // An alias that points nowhere yet is no failure: its first move ends the waiting.
    const waits = error.kind === 'unavailable' || error.kind === 'deadline_exceeded' || version === 0;
    const kept = keptVersion ? `; version ${keptVersion} goes on answering` : '';
    const reason = waits ? `${error.message} (tried ${times} times)` : `${error.message}${kept}`;
    const changed = await store.change(key, (current) =>
      waits
        ? recordWaiting(current, id, reason, now())
        : recordFailed(current, id, { version, keptVersion, reason }, now()),
    );
    const atMs = retryAtMs(error.code, times, now());
    h.retries.set(id, { atMs, times, version, state: waits ? 'loading' : 'failed' });
    show(key, changed.doc, routes.all.get(key)?.targets ?? []);
    return changed.doc;
  };

  const apply = async (key: string, h: Held): Promise<void> => {
    const stored = await store.find(key);
    const shown = routes.all.get(key)?.targets ?? [];
    if (!stored) {
      routes.delete(key);
      held.delete(key);
      for (const target of shown) retire(key, target, 'the deployment was deleted');
      return;
    }
    let { doc } = stored;
    h.applied = stored.version;
    const specs = new Map(doc.unloaded ? [] : doc.spec.targets.map((target) => [targetKey(target), target]));
    const kept = shown.flatMap((target) => {
      const spec = specs.get(target.key);
      if (!spec) return [];
      const { lookup } = doc.spec;
      const fits = !lookup || !lookupProblem(lookup, target.model.signature);
      return [respecify(target, fits ? { spec, lookup } : { spec })];
    });
    show(key, doc, kept);
    const gone = doc.unloaded ? 'unloaded on request' : 'its target was removed';
    for (const target of shown) if (!specs.has(target.key)) retire(key, target, gone);
    if (doc.unloaded) return;
    for (const target of stored.doc.spec.targets) {
      if (closing) return;
      doc = await applyTarget(key, doc, target, h);
    }
  };

  const reconcile = (key: string): Promise<void> => {
    if (closing) return Promise.resolve();
    const h = held.get(key) ?? { applied: 0, running: undefined, again: false, retries: new Map() };
    held.set(key, h);
    h.again = true;
    h.running ??= (async () => {
      try {
        while (h.again && !closing) {
          h.again = false;
          await apply(key, h);
        }
      } catch (error) {
        // What was not carried through is due again at the next sweep, or nothing would come back to it.
        h.applied = 0;
        // A document that was deleted meanwhile is seen in the next round.
        if (!isCoded(error, 'NOT_FOUND')) throw error;
      } finally {
        h.running = undefined;
      }
    })();
    return h.running;
  };

  return {
    async start() {
      for (const { id, doc } of await store.all()) show(id, doc, []);
    },
    async discover(key) {
      const stored = await store.find(key);
      if (!stored || routes.all.has(key)) return;
      show(key, stored.doc, []);
      void reconcile(key).catch(() => undefined);
    },
    reconcile,
    async sweep() {
      const stored = await store.all();
      const keys = new Set(stored.map((item) => item.id));
      const due = stored.filter(({ id, version }) => {
        const h = held.get(id);
        return h?.applied !== version || [...h.retries.values()].some((retry) => retry.atMs <= now());
      });
      const deleted = [...held.keys()].filter((key) => !keys.has(key));
      await Promise.allSettled([...due.map((item) => reconcile(item.id)), ...deleted.map(reconcile)]);
    },
    async refreshAliases() {
      for (const { id, doc } of await store.all()) {
        for (const { model, alias } of doc.spec.targets) {
          if (!alias || doc.unloaded) continue;
          const found = await source.resolveAlias(model, alias).catch((error: unknown) => {
            if (isCoded(error, 'not_found')) return undefined;
            throw error;
          });
          if (!found) continue;
          const changed = await store.change(id, (current) =>
            followAlias(current, { model, alias, ...found }, now()),
          );
          if (changed.version !== held.get(id)?.applied) void reconcile(id).catch(() => undefined);
        }
      }
    },
    async close() {
      closing = true;
      await Promise.allSettled([...held.values()].map((h) => h.running));
      await Promise.race([
        Promise.allSettled([...drains]),
        new Promise((resolve) => setTimeout(resolve, 2000).unref()),
      ]);
    },
  };
}

function unset(target: TargetSpec): CodedError {
  const message = `the alias ${target.alias} of ${target.model} points to no version`;
  return new CodedError('failed_precondition', 'ALIAS_UNSET', message);
}
