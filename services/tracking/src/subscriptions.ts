import { pipelinesEvents } from '@millrace/contracts';
import { AttemptState } from '@millrace/contracts/pipelines';
import { type Bus, handler, type Log, type Subscription, subscribe } from '@millrace/events';
import { endOpenRun, type RunStatus } from './domain/run.ts';
import type { TrackingStore } from './store/open.ts';

/** How a run ends that its task left open. */
const ends: ReadonlyMap<AttemptState, RunStatus> = new Map([
  [AttemptState.SUCCEEDED, 'FINISHED'],
  [AttemptState.FAILED, 'FAILED'],
  [AttemptState.TIMED_OUT, 'FAILED'],
  [AttemptState.LOST, 'FAILED'],
  [AttemptState.CANCELLED, 'KILLED'],
]);

export interface SubscriptionOptions {
  readonly bus: Bus;
  readonly store: TrackingStore;
  readonly log: Log;
  readonly now: () => number;
}

/**
 * Ends the runs of a pipeline task that the task itself could not end any more, because it was killed or crashed. They
 * are found by their tag `millrace.task`, which holds the task's name.
 */
export function subscribeTracking({ bus, store, log, now }: SubscriptionOptions): Promise<Subscription> {
  const attemptFinished = handler(pipelinesEvents.attemptFinished, async (event) => {
    const { task, attempt, willRetry } = event.data;
    const status = attempt && ends.get(attempt.state);
    // Another attempt goes on with the runs of this one.
    if (!status || willRetry) return;
    for (const { doc } of await store.runs.ofTask(event.project, task))
      await store.runs.change(doc.project, doc.id, (run) => endOpenRun(run, status, now()), {
        cause: event.id,
      });
  });
  return subscribe(bus, { durable: 'tracking-tasks', on: [attemptFinished], log });
}
