import type { Expressions } from './expression.ts';
import { findCycle, templatesOf, upstreamsOf } from './graph.ts';
import { canonicalJson } from './json.ts';
import { checkValue } from './parameters.ts';
import { limits, type PipelineSpec, type Step } from './spec.ts';
import { isProblem, parseTemplate, type Reference, referenceText } from './template.ts';

/** One rule that a specification breaks; `field` is a path in proto names below `pipeline.spec`. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** Every rule that a specification breaks; none means that it can run. */
export function validateSpec(spec: PipelineSpec, expressions: Expressions): readonly Violation[] {
  const found: Violation[] = [];
  const add = (field: string, description: string) => {
    // A specification with a thousand mistakes is told of the first hundred.
    if (found.length < 100) found.push({ field, description });
  };
  const steps = [
    ...spec.steps.map((step, i) => ({ step, path: `steps[${i}]`, exit: false })),
    ...spec.exitSteps.map((step, i) => ({ step, path: `exit_steps[${i}]`, exit: true })),
  ];
  const byName = new Map<string, { step: Step; exit: boolean }>();
  for (const { step, path, exit } of steps) {
    if (byName.has(step.name))
      add(`${path}.name`, `${JSON.stringify(step.name)} is used by an earlier step; allowed: unique names`);
    else byName.set(step.name, { step, exit });
  }
  const parameters = new Set<string>();
  for (const [i, parameter] of spec.parameters.entries()) {
    if (parameters.has(parameter.name))
      add(`parameters[${i}].name`, `${JSON.stringify(parameter.name)} is used twice; allowed: unique names`);
    parameters.add(parameter.name);
    const wrong =
      parameter.defaultValue === undefined ? undefined : checkValue(parameter, parameter.defaultValue);
    if (wrong) add(`parameters[${i}].default_value`, wrong);
  }
  if (canonicalJson(spec).length > limits.specBytes)
    add('', `the specification is larger than ${limits.specBytes} bytes; allowed: at most that`);

  const names = { parameters, byName };
  for (const { step, path, exit } of steps) checkStep(step, path, exit, names, expressions, add);
  if (found.length === 0) {
    const upstreams = new Map(steps.map(({ step }) => [step.name, upstreamsOf(step, expressions)]));
    const cycle = findCycle(upstreams);
    if (cycle) add('steps', `the steps form a cycle: ${cycle}; allowed: a graph without cycles`);
  }
  return found;
}

interface Names {
  readonly parameters: ReadonlySet<string>;
  readonly byName: ReadonlyMap<string, { readonly step: Step; readonly exit: boolean }>;
}
type Add = (field: string, description: string) => void;

function checkStep(
  step: Step,
  path: string,
  exit: boolean,
  names: Names,
  expressions: Expressions,
  add: Add,
) {
  const upstream = (field: string, name: string) => {
    const other = names.byName.get(name);
    if (!other)
      add(field, `${JSON.stringify(name)} is not a step; allowed: the steps ${listOf(names.byName.keys())}`);
    else if (name === step.name)
      add(field, `the steps form a cycle: ${name} → ${name}; allowed: a graph without cycles`);
    else if (other.exit && !exit)
      add(field, `${JSON.stringify(name)} is an exit step; allowed: steps that are none`);
    else return other.step;
    return undefined;
  };
  for (const [i, name] of step.dependsOn.entries()) upstream(`${path}.depends_on[${i}]`, name);

  for (const { path: below, text, inTask } of templatesOf(step)) {
    const field = `${path}.${below}`;
    const parsed = parseTemplate(text);
    if (isProblem(parsed)) {
      add(field, parsed.wrong);
      continue;
    }
    for (const part of parsed) if (typeof part !== 'string') checkReference(part, field, inTask);
    const alone = parsed.length === 1 && typeof parsed[0] !== 'string' ? parsed[0] : undefined;
    if (below === 'for_each.template' && alone?.kind !== 'param' && alone?.kind !== 'output')
      add(
        field,
        `${JSON.stringify(text)} is not one reference; allowed: \${params.NAME} or \${steps.STEP.outputs.NAME}`,
      );
    if (below.includes('.inputs[')) {
      const source = alone?.kind === 'output' ? names.byName.get(alone.step)?.step : undefined;
      const output = source?.action.outputs.find((o) => alone?.kind === 'output' && o.name === alone.output);
      if (alone?.kind !== 'output' || alone.path.length > 0 || (output && output.kind !== 'artifact'))
        add(
          field,
          `${JSON.stringify(text)} does not name an artifact; allowed: \${steps.STEP.outputs.NAME} of kind ARTIFACT`,
        );
    }
  }

  function checkReference(reference: Reference, field: string, inTask: boolean) {
    const written = referenceText(reference);
    if (reference.kind === 'param' && !names.parameters.has(reference.name))
      add(field, `${written} is not a parameter; allowed: the parameters ${listOf(names.parameters)}`);
    if ((reference.kind === 'item' || reference.kind === 'index') && !(step.forEach && inTask))
      add(field, `${written} has a meaning only in a step with for_each; allowed: other references`);
    if (reference.kind === 'run' && reference.field === 'state' && !exit)
      add(field, `${written} is known only to exit steps; allowed: \${run.id}, \${run.project}`);
    if (reference.kind === 'output') {
      const source = upstream(field, reference.step);
      if (source) checkOutput(source, reference.output, field);
    }
  }

  function checkOutput(source: Step, output: string, field: string) {
    if (source.action.outputs.some((o) => o.name === output)) return;
    const declared = listOf(source.action.outputs.map((o) => o.name));
    add(field, `step ${source.name} has no output ${JSON.stringify(output)}; allowed: ${declared}`);
  }

  if (step.when) {
    const field = `${path}.when`;
    const expression = expressions.compile(step.when);
    if ('error' in expression) add(field, `${expression.error}; allowed: a CEL expression of type bool`);
    else {
      for (const name of expression.params)
        if (!names.parameters.has(name))
          add(
            field,
            `params.${name} is not a parameter; allowed: the parameters ${listOf(names.parameters)}`,
          );
      for (const reference of expression.steps) {
        const source = upstream(field, reference.step);
        if (source && reference.output !== undefined) checkOutput(source, reference.output, field);
      }
      for (const name of expression.variables)
        if (!['params', 'steps', 'run'].includes(name))
          add(field, `${JSON.stringify(name)} is not a variable; allowed: params, steps, run`);
    }
  }
  checkCommand(step, path, add);
}

function checkCommand(step: Step, path: string, add: Add) {
  const { action, forEach, retry } = step;
  if (action.argv[0] === '') add(`${path}.command.argv[0]`, 'the program is empty; allowed: a program');
  for (const [i, arg] of action.argv.entries())
    if (arg.includes('\0')) add(`${path}.command.argv[${i}]`, 'it contains NUL; allowed: other characters');
  for (const [i, { name, value }] of action.env.entries()) {
    if (name.startsWith('MILLRACE_'))
      add(
        `${path}.command.env[${i}].name`,
        `${name} is set by the orchestrator; allowed: names without MILLRACE_ in front`,
      );
    if (value.includes('\0'))
      add(`${path}.command.env[${i}].value`, 'it contains NUL; allowed: other characters');
  }
  unique(
    action.outputs.map((o) => o.name),
    (i, name) => add(`${path}.command.outputs[${i}].name`, name),
  );
  unique(
    action.inputs.map((o) => o.name),
    (i, name) => add(`${path}.command.inputs[${i}].name`, name),
  );
  unique(
    action.files.map((o) => o.path),
    (i, name) => add(`${path}.command.files[${i}].path`, name),
  );
  if (forEach && forEach.items === undefined && forEach.template === undefined)
    add(`${path}.for_each`, 'neither items nor template is set; allowed: one of them');
  if ((forEach?.items?.length ?? 0) > limits.fanOutItems)
    add(`${path}.for_each.items`, `more than ${limits.fanOutItems} items; allowed: at most that`);
  if (retry.factor < 1)
    add(`${path}.retry.factor`, `${retry.factor} makes waits shorter; allowed: at least 1`);
}

function unique(names: readonly string[], report: (index: number, description: string) => void) {
  const seen = new Set<string>();
  for (const [i, name] of names.entries()) {
    if (seen.has(name)) report(i, `${JSON.stringify(name)} is used twice; allowed: unique names`);
    seen.add(name);
  }
}

function listOf(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return 'none is declared';
  return all.length > 12 ? `${all.slice(0, 12).join(', ')} … (${all.length})` : all.join(', ');
}
