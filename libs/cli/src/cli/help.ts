import type { Command, Group, OptionSpecs } from '../command.ts';
import { globalOptions } from './globals.ts';

/** The help of the whole program: a line for each command. */
export function programHelp(table: Readonly<Record<string, { readonly summary: string }>>): string {
  return [
    'millrace: an end-to-end MLOps platform that starts with one command',
    '',
    'Usage: millrace COMMAND [ARGUMENTS] [OPTIONS]',
    '',
    'Commands:',
    ...columns(Object.entries(table).map(([name, { summary }]) => [name, summary])),
    '',
    'Options of every command:',
    ...columns(optionRows(globalOptions)),
    '',
    'millrace COMMAND --help tells more. Exit codes: 0 done, 1 failed, 2 not understood.',
  ].join('\n');
}

/** The help of a group. */
export function groupHelp(name: string, group: Group): string {
  const rows = Object.entries(group.commands).map(([word, { args, summary }]): [string, string] => [
    [word, ...args].join(' '),
    summary,
  ]);
  return [
    `millrace ${name}: ${group.summary}`,
    '',
    ...columns(rows),
    '',
    `millrace ${name} COMMAND --help tells more.`,
  ].join('\n');
}

/** The help of a command. */
export function commandHelp(name: string, { summary, args, options, notes }: Command): string {
  const own = optionRows(options);
  return [
    `${summary}`,
    '',
    `Usage: millrace ${[name, ...args].join(' ')} [OPTIONS]`,
    ...(own.length > 0 ? ['', 'Options:', ...columns(own)] : []),
    '',
    'Options of every command:',
    ...columns(optionRows(globalOptions)),
    ...(notes ? ['', ...notes] : []),
  ].join('\n');
}

function optionRows(specs: OptionSpecs): [string, string][] {
  return Object.entries(specs).map(([key, { short, value, meaning, type }]) => {
    const head = `${short ? `-${short}, ` : ''}--${key}`;
    return [type === 'string' ? `${head} ${value ?? 'VALUE'}` : head, meaning];
  });
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(32, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows.flatMap(([left, right]) =>
    left.length > width
      ? [`  ${left}`, `  ${' '.repeat(width)}  ${right}`]
      : [`  ${left.padEnd(width)}  ${right}`],
  );
}
