import { from, isCoded } from '@millrace/errors';
import type { Command, Group } from '../command.ts';
import { commands } from '../commands/table.ts';
import { createOutput } from '../show/output.ts';
import { type GlobalValues, globalOptions, readGlobals } from './globals.ts';
import { commandHelp, groupHelp, programHelp } from './help.ts';
import { parseCommand, parseOptions, takeWord } from './parse.ts';
import { isUsage, unknown } from './usage.ts';

/** Where the program reads from and writes to. */
export interface Surroundings {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream;
}

/** Runs the program and gives its exit code: 0 done, 1 failed, 2 not understood. */
export async function run(argv: readonly string[], surroundings: Surroundings = process): Promise<number> {
  try {
    return await dispatch(argv, surroundings);
  } catch (error) {
    const wantsJson = argv.includes('--json');
    surroundings.stderr.write(`${describe(error, { debug: argv.includes('--debug'), wantsJson })}\n`);
    return isUsage(error) ? 2 : 1;
  }
}

async function dispatch(argv: readonly string[], { env, stdout }: Surroundings): Promise<number> {
  const print = (text: string) => {
    stdout.write(`${text}\n`);
    return 0;
  };
  const { word, rest } = takeWord(argv);
  if (word === undefined || word === 'help') {
    const { values } = parseOptions(
      '',
      { ...globalOptions, version: { type: 'boolean', meaning: '' } },
      rest,
    );
    if (values.version) return print((await import('./version.ts')).version());
    const topic = word === 'help' ? takeWord(rest).word : undefined;
    return topic
      ? dispatch([topic, '--help'], { env, stdout, stderr: stdout })
      : print(programHelp(commands));
  }
  const entry = Object.hasOwn(commands, word) ? commands[word] : undefined;
  if (!entry) throw unknown('command', word, Object.keys(commands), 'See millrace --help.');
  const loaded = await entry.load();
  const found = isGroup(loaded) ? pick(word, loaded, rest) : { name: word, command: loaded, rest };
  if (!found) return print(groupHelp(word, loaded as Group));
  const { args, values } = parseCommand(found.name, found.command, found.rest);
  if (values.help) return print(commandHelp(found.name, found.command));
  const globals = readGlobals(values as GlobalValues, env);
  const out = createOutput({ stdout, json: globals.json, env });
  return (await found.command.run({ args, options: values as never, globals, out })) ?? 0;
}

/** The command of a group that is meant; undefined when the group's help is asked for. */
function pick(name: string, group: Group, argv: readonly string[]) {
  const { word, rest } = takeWord(argv);
  const known = Object.keys(group.commands);
  if (word === undefined) {
    const { values } = parseOptions(name, globalOptions, rest);
    if (values.help) return undefined;
    throw unknown('command', name, [], `It is used as: millrace ${name} ${known.join('|')}`);
  }
  const command = Object.hasOwn(group.commands, word) ? group.commands[word] : undefined;
  if (!command)
    throw unknown(
      'command',
      `${name} ${word}`,
      known.map((one) => `${name} ${one}`),
      `Known: ${known.join(', ')}.`,
    );
  return { name: `${name} ${word}`, command, rest };
}

function isGroup(loaded: Command | Group): loaded is Group {
  return 'commands' in loaded;
}

/** The text of an error: message and next step; a stack only when asked for. */
function describe(caught: unknown, { debug, wantsJson }: { debug: boolean; wantsJson: boolean }): string {
  const error = from(caught);
  const inner = isCoded(caught) ? undefined : caught instanceof Error ? caught.message : String(caught);
  const message = error.code === 'INTERNAL' && inner ? inner : error.message;
  if (wantsJson) {
    const { code, kind, violations } = error;
    return JSON.stringify({ error: { code, kind, message, violations } });
  }
  const step = inner === undefined ? nextStep(error.code, error.kind) : nextStep('DEFECT', error.kind);
  const stack = debug && caught instanceof Error ? `\n${stackOf(caught)}` : '';
  return `millrace: ${message}${step ? `\n${step}` : ''}${stack}`;
}

function nextStep(code: string, kind: string): string | undefined {
  if (code === 'DEFECT') return 'The option --debug shows where it came from.';
  if (code === 'INTERNAL') return 'The logs of a suite on this machine are in its data folder, under logs.';
  if (kind === 'unavailable')
    return 'If the suite does not run, start it with millrace up; millrace doctor looks closer.';
  if (kind === 'deadline_exceeded') return 'Wait longer with --timeout, or look with: millrace doctor.';
  if (kind === 'not_found') return 'The list commands show what there is; --project chooses another project.';
  return undefined;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
