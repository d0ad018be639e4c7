import type { Expressions } from './expression.ts';
import type { PipelineSpec, Step } from './spec.ts';
import { referencesOf } from './template.ts';

/** A step with its place in the graph. */
export interface Node {
  readonly step: Step;
  readonly exit: boolean;
  /** The steps before it, by name, sorted by the order of the specification. */
  readonly upstreams: readonly string[];
}

/** The steps of a specification by name: first the steps, then the exit steps, each in their order. */
export type Graph = ReadonlyMap<string, Node>;

/** Builds the graph of a sound specification. */
export function graphOf(spec: PipelineSpec, expressions: Expressions): Graph {
  const graph = new Map<string, Node>();
  const main = new Set(spec.steps.map((step) => step.name));
  for (const step of spec.steps)
    graph.set(step.name, { step, exit: false, upstreams: upstreamsOf(step, expressions) });
  // Exit steps run when all steps are terminal, so a reference to a step is no edge of the graph.
  for (const step of spec.exitSteps) {
    const upstreams = upstreamsOf(step, expressions).filter((name) => !main.has(name));
    graph.set(step.name, { step, exit: true, upstreams });
  }
  return graph;
}

/** The names a step depends on, by `depends_on`, templates and its condition; each once. */
export function upstreamsOf(step: Step, expressions: Expressions): readonly string[] {
  const found = new Set<string>(step.dependsOn);
  for (const { text } of templatesOf(step))
    for (const reference of referencesOf(text)) if (reference.kind === 'output') found.add(reference.step);
  if (step.when) {
    const expression = expressions.compile(step.when);
    if (!('error' in expression)) for (const { step: name } of expression.steps) found.add(name);
  }
  return [...found];
}

/** The templates of a step with their field paths below the step, in proto names. */
export function templatesOf(
  step: Step,
): readonly { readonly path: string; readonly text: string; readonly inTask: boolean }[] {
  const { argv, env, inputs } = step.action;
  return [
    ...argv.map((text, i) => ({ path: `command.argv[${i}]`, text, inTask: true })),
    ...env.map((e, i) => ({ path: `command.env[${i}].value`, text: e.value, inTask: true })),
    ...inputs.map((e, i) => ({ path: `command.inputs[${i}].from`, text: e.from, inTask: true })),
    ...(step.forEach?.template === undefined
      ? []
      : [{ path: 'for_each.template', text: step.forEach.template, inTask: false }]),
  ];
}

/** A cycle as `a → b → a`, or undefined. Edges to unknown names are ignored. */
export function findCycle(upstreams: ReadonlyMap<string, readonly string[]>): string | undefined {
  const state = new Map<string, 'open' | 'done'>();
  for (const start of upstreams.keys()) {
    if (state.has(start)) continue;
    // Iterative, so that a chain of 500 steps is no deeper than a short one.
    const stack: { name: string; next: number }[] = [{ name: start, next: 0 }];
    state.set(start, 'open');
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const name = upstreams.get(top.name)?.[top.next];
      top.next += 1;
      if (name === undefined) {
        state.set(top.name, 'done');
        stack.pop();
      } else if (upstreams.has(name) && state.get(name) !== 'done') {
        if (state.get(name) === 'open') {
          const from = stack.findIndex((entry) => entry.name === name);
          // The stack goes against the flow of work; turned round it reads in the order of execution.
          const cycle = [...stack.slice(from).map((entry) => entry.name), name].reverse();
          return cycle.join(' → ');
        }
        state.set(name, 'open');
        stack.push({ name, next: 0 });
      }
    }
  }
  return undefined;
}
