import { readFileSync } from 'node:fs';
import { CodedError } from '@millrace/errors';
import { type Document, isMap, LineCounter, parseAllDocuments } from 'yaml';
import { nearest } from '../cli/nearest.ts';

/** Where something stands in a document: keys and indexes from its root. */
export type Path = readonly (string | number)[];

/** One document of a YAML file. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: unknown;
  /** `file.yaml:12 (document 2)` for a place in it. */
  at(path: Path): string;
}

export interface Metadata {
  readonly name: string;
  /** The project; the command line's when absent. */
  readonly project?: string;
  /** The model that a gate belongs to. */
  readonly model?: string;
}

const metadataKeys = ['name', 'project', 'model'];
const rootKeys = ['kind', 'metadata', 'spec'];

/** Something that is wrong with a manifest. */
export interface Problem {
  readonly where: string;
  readonly field: string;
  readonly description: string;
}

/** All problems as one error; each names file, line, document and field. */
export function problemsError(problems: readonly Problem[]): CodedError {
  const text = problems
    .map(({ where, field, description }) => `${where}: ${field}: ${description}`)
    .join('\n');
  const violations = problems.map(({ where, field, description }) => ({
    field: `${where} ${field}`,
    description,
  }));
  return new CodedError('invalid_argument', 'INVALID_FIELD', text, { violations });
}

/** Reads the documents of a file; `-` is standard input. Empty documents are passed over. */
export function readManifests(file: string, problems: Problem[]): Manifest[] {
  const shown = file === '-' ? 'standard input' : file;
  return parseManifests(readText(file), shown, problems);
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CodedError('invalid_argument', 'INVALID_FIELD', `${file} cannot be read: ${why}`);
  }
}

/** Reads the documents of a text; `shown` stands for it in messages. */
export function parseManifests(text: string, shown: string, problems: Problem[]): Manifest[] {
  const lines = new LineCounter();
  const found: Manifest[] = [];
  let documents: readonly Document.Parsed[] = [];
  try {
    documents = [...parseAllDocuments(text, { lineCounter: lines, stringKeys: true })];
  } catch (error) {
    // The parser calls itself for each level, and some levels it does not count.
    const description = inWords(error instanceof Error ? error.message : String(error));
    problems.push({ where: shown, field: 'YAML', description });
  }
  for (const [i, document] of documents.entries()) {
    const at = (path: Path) => `${shown}:${lineOf(document, path, lines)} (document ${i + 1})`;
    // What is only warned of, such as a tag that nobody knows, would be read as something else than was meant.
    const wrong = [...document.errors, ...document.warnings];
    for (const error of wrong) {
      const line = lines.linePos(error.pos[0]).line;
      const where = `${shown}:${line} (document ${i + 1})`;
      problems.push({ where, field: 'YAML', description: inWords(error.message) });
    }
    if (wrong.length > 0 || document.contents === null) continue;
    const { value, problem } = plainValue(document);
    if (problem !== undefined) {
      problems.push({ where: at([]), field: 'YAML', description: problem });
      continue;
    }
    const manifest = checked(value, at, problems);
    if (manifest) found.push({ ...manifest, at });
  }
  return found;
}

/** How often aliases may be written out, aliases in what they name included. */
const maxAliases = 100;

/** The value of a document, or what is wrong with its aliases. */
function plainValue(document: Document.Parsed): { readonly value?: unknown; readonly problem?: string } {
  try {
    const value = document.toJS({ maxAliasCount: maxAliases }) as unknown;
    // Throws where an alias stands inside of what it names.
    JSON.stringify(value);
    return { value };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (/alias count/i.test(text)) return { problem: `its aliases stand for more than ${maxAliases} values` };
    if (/circular/i.test(text)) return { problem: 'an alias stands inside of what it names' };
    return { problem: inWords(text) };
  }
}

function inWords(message: string): string {
  const [line = ''] = message.split('\n');
  return line.replace('Maximum call stack size exceeded', 'Nested too deeply').slice(0, 300);
}

function checked(value: unknown, at: (path: Path) => string, problems: Problem[]) {
  const report = (path: Path, description: string) => {
    problems.push({ where: at(path), field: path.join('.') || 'document', description });
    return undefined;
  };
  if (!isRecord(value)) return report([], `is not a mapping; allowed: ${rootKeys.join(', ')}`);
  for (const key of Object.keys(value)) if (!rootKeys.includes(key)) report([key], unknownKey(key, rootKeys));
  const { kind, metadata, spec = {} } = value;
  if (typeof kind !== 'string') return report(['kind'], 'is missing');
  if (!isRecord(metadata)) return report(['metadata'], 'is missing; it needs a name');
  for (const [key, text] of Object.entries(metadata)) {
    if (!metadataKeys.includes(key)) report(['metadata', key], unknownKey(key, metadataKeys));
    else if (typeof text !== 'string') report(['metadata', key], 'is not a text; put it in quotes');
  }
  if (typeof metadata.name !== 'string' || metadata.name === '')
    return report(['metadata', 'name'], 'is missing');
  return { kind, metadata: metadata as unknown as Metadata, spec };
}

/** What to say of a key that nothing is known of. */
export function unknownKey(key: string, known: readonly string[]): string {
  const close = nearest(key, known);
  return close ? `is not known; did you mean ${close}?` : `is not known; allowed: ${known.join(', ')}`;
}

/** Whether a value is a mapping. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** The line of the nearest thing on the path that is there; keys count rather than their values. */
function lineOf(document: Document.Parsed, path: Path, lines: LineCounter): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1]!;
    const key = isMap(parent) && parent.items.find((item) => String(item.key) === String(last))?.key;
    const node = key || document.getIn(path.slice(0, length), true);
    const range = (node as { range?: readonly number[] | null } | undefined)?.range;
    if (range) return lines.linePos(range[0]!).line;
  }
  const start = document.contents?.range?.[0] ?? 0;
  return lines.linePos(start).line;
}
