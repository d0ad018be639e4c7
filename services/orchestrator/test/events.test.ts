import { fromBinary } from '@bufbuild/protobuf';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import { expect, test } from 'vitest';
import type { Json } from '../src/domain/json.ts';
import { newTask, type TaskOutput } from '../src/domain/task.ts';
import { taskEvents } from '../src/store/events.ts';
import { newRun } from './simulate.ts';
import { spec, step } from './specs.ts';

const run = newRun(spec([step('a', ['true'])]));
const fact = { fact: 'task_state_changed', from: 'running', to: 'succeeded', reason: '' } as const;
const value = (name: string, of: Json): TaskOutput => ({ name, kind: 'value', value: of });
/** The outputs that the event of a task tells of. */
function told(outputs: readonly TaskOutput[]) {
  const task = {
    ...newTask({ project: 'default', run: run.id, key: 'a', step: 'a', exit: false }, 0),
    outputs,
  };
  const [event] = taskEvents(run, task, [fact], 0);
  return fromBinary(pipelinesEvents.taskStateChanged.schema, event!.data).outputs.map(({ name }) => name);
}
const names = Array.from({ length: 256 }, (_, i) => `${'n'.repeat(125)}${i}`.slice(-128));

test.each<[string, (name: string) => TaskOutput]>([
  ['lists of short numbers', (name) => value(name, Array(509).fill(0))],
  ['lists of numbers that just fit', (name) => value(name, Array(92).fill(0))],
  ['texts of wide characters', (name) => value(name, '\u20ac'.repeat(340))],
  [
    'artifacts with long paths',
    (name) => ({
      ...{ name, kind: 'artifact', path: '\u20ac'.repeat(1024), artifactType: 'a'.repeat(63) },
      ...{ digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 2 ** 50 },
    }),
  ],
])('the most outputs of a step fit into its event: %s', (_, output) => {
  expect(() => told(names.map(output))).not.toThrow();
});

test('an event leaves out values of more than 1 KiB as they travel, and nothing else', () => {
  const outputs = [
    value('numbers', Array(509).fill(0)),
    value('few', [0.5]),
    value('text', 'x'.repeat(2000)),
    value('short', 'x'.repeat(1000)),
  ];
  expect(told(outputs)).toEqual(['few', 'short']);
});
