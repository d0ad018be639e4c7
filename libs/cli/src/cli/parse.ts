import { parseArgs } from 'node:util';
import type { Command, OptionSpecs } from '../command.ts';
import { globalOptions } from './globals.ts';
import { unknown, usage } from './usage.ts';

/** A word taken out of the arguments, and what is left. */
export interface Split {
  readonly word: string | undefined;
  readonly rest: readonly string[];
}

/** Takes the first word that is neither an option nor a global option's value: options may stand before it. */
export function takeWord(argv: readonly string[]): Split {
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') break;
    if (!arg.startsWith('-') || arg === '-') return { word: arg, rest: argv.toSpliced(i, 1) };
    const spec = (globalOptions as OptionSpecs)[arg.slice(2)];
    if (spec?.type === 'string') i++;
  }
  return { word: undefined, rest: argv };
}

/** What was given on a command line. */
export interface Parsed {
  readonly args: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | readonly string[]>>;
}

/** Reads the arguments of a command. Unknown options, missing values and wrong counts are usage errors. */
export function parseCommand(name: string, command: Command, argv: readonly string[]): Parsed {
  const parsed = parseOptions(name, { ...command.options, ...globalOptions }, argv);
  if (parsed.values.help !== true) checkCount(name, command.args, parsed.args);
  return parsed;
}

/** Reads options and positional arguments; `name` stands in the messages. */
export function parseOptions(name: string, specs: OptionSpecs, argv: readonly string[]): Parsed {
  const help = `See millrace${name ? ` ${name}` : ''} --help.`;
  const config = Object.entries(specs).map(([key, { type, short, multiple }]) => [
    key,
    { type, ...(short ? { short } : {}), ...(multiple ? { multiple } : {}) },
  ]);
  const { tokens, positionals } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(config),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const values: Record<string, string | boolean | string[]> = {};
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const spec = specs[token.name];
    if (!spec || (token.rawName.startsWith('--') && !Object.hasOwn(specs, token.name))) {
      const known = Object.keys(specs).map((key) => `--${key}`);
      throw unknown('option', token.rawName, known, help);
    }
    if (spec.type === 'boolean') {
      if (token.value !== undefined) throw usage(`${token.rawName} takes no value. ${help}`);
      values[token.name] = true;
      continue;
    }
    if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--')))
      throw usage(`${token.rawName} needs a value: ${token.rawName} ${spec.value ?? 'VALUE'}. ${help}`);
    if (spec.multiple) values[token.name] = [...((values[token.name] as string[]) ?? []), token.value];
    else values[token.name] = token.value;
  }
  return { args: positionals, values };
}

function checkCount(name: string, wanted: readonly string[], given: readonly string[]): void {
  const least = wanted.filter((arg) => !arg.startsWith('[')).length;
  const most = wanted.some((arg) => arg.includes('...')) ? Number.POSITIVE_INFINITY : wanted.length;
  const form = `It is used as: millrace ${[name, ...wanted].join(' ')}`;
  if (given.length < least) throw usage(`${wanted[given.length] ?? 'an argument'} is missing. ${form}`);
  if (given.length > most) throw usage(`${JSON.stringify(given[most])} is one argument too many. ${form}`);
}
