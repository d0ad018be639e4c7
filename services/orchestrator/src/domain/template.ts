import { type Json, member, textOf } from './json.ts';

/** What a template refers to. `path` goes further into a value: `${params.grid.0.rate}`. */
export type Reference =
  | { readonly kind: 'param'; readonly name: string; readonly path: readonly string[] }
  | {
      readonly kind: 'output';
      readonly step: string;
      readonly output: string;
      readonly path: readonly string[];
    }
  | { readonly kind: 'item'; readonly path: readonly string[] }
  | { readonly kind: 'index' }
  | { readonly kind: 'run'; readonly field: 'id' | 'project' | 'state' };

/** A template taken apart: literal texts and references, in order. */
export type Template = readonly (string | Reference)[];

/** What was wrong with a template; `text` is the part at fault. */
export interface TemplateProblem {
  readonly text: string;
  readonly wrong: string;
}

const shapes =
  '${params.NAME}, ${steps.STEP.outputs.NAME}, ${item}, ${item.FIELD}, ${index}, ${run.id}, ${run.project}, ${run.state}';

/** Takes a template apart. `$${` is a literal `${`. */
export function parseTemplate(text: string): Template | TemplateProblem {
  const parts: (string | Reference)[] = [];
  let literal = '';
  for (let at = 0; at < text.length; ) {
    if (text.startsWith('$${', at)) {
      literal += '${';
      at += 3;
      continue;
    }
    if (!text.startsWith('${', at)) {
      literal += text[at];
      at += 1;
      continue;
    }
    const end = text.indexOf('}', at);
    const whole = end < 0 ? text.slice(at, at + 80) : text.slice(at, end + 1);
    const reference = end < 0 ? undefined : parseReference(text.slice(at + 2, end).trim());
    if (!reference)
      return { text: whole, wrong: `${whole} is not a reference (${shapes}); write $\${ for a literal \${` };
    if (literal) parts.push(literal);
    parts.push(reference);
    literal = '';
    at = end + 1;
  }
  if (literal || parts.length === 0) parts.push(literal);
  return parts;
}

function parseReference(text: string): Reference | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$/.test(text)) return undefined;
  const [head, a, b, c, ...rest] = text.split('.');
  if (head === 'params' && a)
    return { kind: 'param', name: a, path: [b, c, ...rest].filter((s) => s !== undefined) };
  if (head === 'steps' && a && b === 'outputs' && c)
    return { kind: 'output', step: a, output: c, path: rest };
  if (head === 'item') return { kind: 'item', path: [a, b, c, ...rest].filter((s) => s !== undefined) };
  if (text === 'index') return { kind: 'index' };
  if (head === 'run' && b === undefined && (a === 'id' || a === 'project' || a === 'state'))
    return { kind: 'run', field: a };
  return undefined;
}

/** Whether parsing found a problem. */
export function isProblem(parsed: Template | TemplateProblem): parsed is TemplateProblem {
  return 'wrong' in parsed;
}

/** The references of a text that is known to be a sound template. */
export function referencesOf(text: string): readonly Reference[] {
  const parsed = parseTemplate(text);
  return isProblem(parsed) ? [] : parsed.filter((part) => typeof part !== 'string');
}

/** A reference as it is written. */
export function referenceText(reference: Reference): string {
  const path = 'path' in reference ? reference.path.map((segment) => `.${segment}`).join('') : '';
  if (reference.kind === 'param') return `\${params.${reference.name}${path}}`;
  if (reference.kind === 'output') return `\${steps.${reference.step}.outputs.${reference.output}${path}}`;
  if (reference.kind === 'run') return `\${run.${reference.field}}`;
  return `\${${reference.kind}${path}}`;
}

/** Gives the value of a reference, before its path is followed; undefined where there is none. */
export type Resolve = (reference: Reference) => Json | undefined;

/** The outcome of replacing references: a value, or the reference that has none. */
export type Rendered<T> = { readonly value: T } | { readonly missing: string };

/** Replaces the references of a template by their values; the result is one text, never split. */
export function renderText(text: string, resolve: Resolve): Rendered<string> {
  const parsed = parseTemplate(text);
  if (isProblem(parsed)) return { missing: parsed.text };
  let rendered = '';
  for (const part of parsed) {
    if (typeof part === 'string') {
      rendered += part;
      continue;
    }
    const value = follow(part, resolve);
    if (value === undefined) return { missing: referenceText(part) };
    rendered += textOf(value);
  }
  return { value: rendered };
}

/** The value of a template that is one reference and nothing else. */
export function renderValue(text: string, resolve: Resolve): Rendered<Json> {
  const parsed = parseTemplate(text);
  const [only] = isProblem(parsed) ? [] : parsed;
  if (only === undefined || typeof only === 'string') return { missing: text };
  const value = follow(only, resolve);
  return value === undefined ? { missing: referenceText(only) } : { value };
}

function follow(reference: Reference, resolve: Resolve): Json | undefined {
  let value = resolve(reference);
  if ('path' in reference) for (const segment of reference.path) value = member(value, segment);
  return value;
}
