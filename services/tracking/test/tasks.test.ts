import { pipelinesEvents } from '@millrace/contracts';
import { AttemptState } from '@millrace/contracts/pipelines';
import { RunStatus } from '@millrace/contracts/tracking';
import { newId } from '@millrace/documents';
import { connectBus, ensureStream, publish } from '@millrace/events';
import { until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningTracking, startTracking } from './tracking.ts';

let service: RunningTracking;
beforeAll(async () => {
  service = await startTracking();
});
afterAll(() => service.stop());

test('a run that its task left open ends as the last attempt did', async () => {
  const { tracking, natsUrl } = service;
  const bus = await connectBus({ url: natsUrl, name: 'test' });
  await ensureStream(bus, 'pipelines');
  const task = 'projects/p/pipelineRuns/r/tasks/train';
  const create = async (value: string, project = 'p') => {
    const run = { tags: [{ key: 'millrace.task', value }] };
    return (await tracking.createRun({ parent: `projects/${project}`, run })).run?.name ?? '';
  };
  const [open, ended, other, elsewhere] = [
    await create(task),
    await create(task),
    await create(`${task}2`),
    await create(task, 'q'),
  ];
  await tracking.finishRun({ name: ended });
  const tell = async (state: AttemptState, willRetry: boolean) => {
    const data = { task, run: 'projects/p/pipelineRuns/r', attempt: { number: 1, state }, willRetry };
    await publish(bus, pipelinesEvents.attemptFinished, { project: 'p', resource: task, data, id: newId() });
  };
  const statusOf = async (name: string) => (await tracking.getRun({ name })).run?.status;

  await tell(AttemptState.FAILED, true);
  await tell(AttemptState.CANCELLED, false);
  await until(async () => (await statusOf(open)) !== RunStatus.RUNNING);
  expect(await statusOf(open)).toBe(RunStatus.KILLED);
  expect(await statusOf(ended)).toBe(RunStatus.FINISHED);
  expect(await statusOf(other)).toBe(RunStatus.RUNNING);
  expect(await statusOf(elsewhere)).toBe(RunStatus.RUNNING);
  await bus.close();
});
