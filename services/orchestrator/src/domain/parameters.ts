import { canonicalJson, type Json } from './json.ts';
import { limits, type ParameterSpec, type PipelineSpec } from './spec.ts';

/** What is wrong with a value of a parameter, with what is allowed; undefined when nothing is. */
export function checkValue(parameter: ParameterSpec, value: Json): string | undefined {
  if (canonicalJson(value).length > limits.parameterBytes)
    return `longer than ${limits.parameterBytes} bytes as JSON; allowed: at most that`;
  const shown = canonicalJson(value).slice(0, 80);
  switch (parameter.type) {
    case 'string':
      return typeof value === 'string' ? undefined : `${shown} is no text; allowed: a JSON string`;
    case 'int':
      return Number.isSafeInteger(value) ? undefined : `${shown} is no integer; allowed: -2^53+1 to 2^53-1`;
    case 'double':
      return typeof value === 'number' && Number.isFinite(value)
        ? undefined
        : `${shown} is no number; allowed: a finite number`;
    case 'bool':
      return typeof value === 'boolean' ? undefined : `${shown} is no truth value; allowed: true or false`;
    case 'list':
      return Array.isArray(value) ? undefined : `${shown} is no list; allowed: a JSON list`;
    case 'json':
      return undefined;
  }
}

/** A parameter's value by its name. A list of pairs, because users choose the names. */
export interface Parameter {
  readonly name: string;
  readonly value: Json;
}

/** The parameters of a run, defaults filled in, or every mistake; `path` is the field of the list. */
export function completeParameters(
  spec: PipelineSpec,
  given: readonly Parameter[],
  path: string,
):
  | { readonly parameters: readonly Parameter[] }
  | { readonly violations: readonly { field: string; description: string }[] } {
  const violations: { field: string; description: string }[] = [];
  const byName = new Map<string, Json>();
  const declared = new Map(spec.parameters.map((parameter) => [parameter.name, parameter]));
  for (const [i, { name, value }] of given.entries()) {
    const parameter = declared.get(name);
    const known = [...declared.keys()].join(', ') || 'the pipeline has none';
    if (!parameter)
      violations.push({
        field: `${path}[${i}].name`,
        description: `${JSON.stringify(name)} is not a parameter; allowed: ${known}`,
      });
    else if (byName.has(name))
      violations.push({ field: `${path}[${i}].name`, description: `${name} is given twice; allowed: once` });
    const wrong = parameter && checkValue(parameter, value);
    if (wrong) violations.push({ field: `${path}[${i}].value`, description: wrong });
    byName.set(name, value);
  }
  for (const parameter of spec.parameters) {
    if (byName.has(parameter.name)) continue;
    if (parameter.defaultValue === undefined)
      violations.push({
        field: path,
        description: `parameter ${parameter.name} has no default and is not given; allowed: give it`,
      });
    else byName.set(parameter.name, parameter.defaultValue);
  }
  if (violations.length > 0) return { violations };
  return { parameters: spec.parameters.map(({ name }) => ({ name, value: byName.get(name) ?? null })) };
}
