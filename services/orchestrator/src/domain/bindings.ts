import type { Bound } from './expression.ts';
import type { Json } from './json.ts';
import type { PipelineSpec } from './spec.ts';
import type { Task } from './task.ts';
import type { Reference, Resolve } from './template.ts';
import { type RunView, stepOutput } from './view.ts';

/** Gives templates their values in a run; `task` where an item's task is meant. */
export function resolver(view: RunView, task: Task | undefined): Resolve {
  return (reference: Reference): Json | undefined => {
    switch (reference.kind) {
      case 'param':
        return view.run.parameters.find((p) => p.name === reference.name)?.value;
      case 'output':
        return stepOutput(view, reference.step, reference.output);
      case 'item':
        return task?.index === undefined ? undefined : task.item;
      case 'index':
        return task?.index;
      case 'run':
        if (reference.field === 'id') return view.run.id;
        if (reference.field === 'project') return view.run.project;
        return (view.run.outcome?.state ?? view.run.state).toUpperCase();
    }
  };
}

/**
 * What a condition sees; `only` are the steps it refers to, so that others' outputs need not be gathered. Integers are
 * CEL ints where a parameter says so; other numbers are doubles.
 */
export function bindings(
  view: RunView,
  spec: PipelineSpec,
  only: readonly string[],
): Readonly<Record<string, Bound>> {
  const types = new Map(spec.parameters.map((parameter) => [parameter.name, parameter.type]));
  const params = new Map<string, Bound>(
    view.run.parameters.map(({ name, value }) => [
      name,
      types.get(name) === 'int' && typeof value === 'number' ? BigInt(value) : value,
    ]),
  );
  const steps = new Map<string, Bound>();
  for (const name of new Set(only)) {
    const node = view.graph.get(name);
    if (!node) continue;
    const task = view.tasks.get(name);
    const outputs = new Map<string, Bound>();
    for (const { name: output } of node.step.action.outputs) {
      const value = stepOutput(view, name, output);
      if (value !== undefined) outputs.set(output, value);
    }
    const state = (task?.state ?? 'pending').toUpperCase();
    steps.set(
      name,
      new Map<string, Bound>([
        ['state', state],
        ['outputs', outputs],
      ]),
    );
  }
  const state = (view.run.outcome?.state ?? view.run.state).toUpperCase();
  const run = new Map<string, Bound>([
    ['id', view.run.id],
    ['project', view.run.project],
    ['state', state],
  ]);
  return { params, steps, run };
}
