import { contexts } from '@millrace/contracts/event-type';
import { isProject } from '@millrace/contracts/names';
import type { Globals, OptionSpecs, OptionValues } from '../command.ts';
import { parseDurationMs } from './duration.ts';
import { unknown, usage } from './usage.ts';

/** The options that every command has. */
export const globalOptions = {
  project: {
    type: 'string',
    value: 'NAME',
    meaning: 'The project. Default: MILLRACE_PROJECT, or default.',
  },
  json: { type: 'boolean', meaning: 'Print JSON: one document, or a line for each item of a stream.' },
  timeout: {
    type: 'string',
    value: 'TIME',
    meaning: 'How long to wait, for example 500ms, 10s, 2m. Default: 30s for calls, none for watching.',
  },
  address: {
    type: 'string',
    multiple: true,
    value: 'CONTEXT=HOST:PORT',
    meaning: `Where a service is; contexts: ${contexts.join(', ')}. Default: MILLRACE_<CONTEXT>_ADDRESS, else the data folder.`,
  },
  'data-dir': {
    type: 'string',
    value: 'FOLDER',
    meaning: 'The data folder of the suite. Default: MILLRACE_DATA_DIR, or .millrace.',
  },
  debug: { type: 'boolean', meaning: 'Show where an error came from.' },
  help: { type: 'boolean', short: 'h', meaning: 'Show this help.' },
} as const satisfies OptionSpecs;

export type GlobalValues = OptionValues<typeof globalOptions>;

/** Reads the global options. Everything wrong is a usage error. */
export function readGlobals(values: GlobalValues, env: Readonly<NodeJS.ProcessEnv>): Globals {
  const project = values.project ?? (env.MILLRACE_PROJECT || 'default');
  if (!isProject(project))
    throw usage(
      `--project ${JSON.stringify(project)} is not a project's name: [a-z0-9-], at most 63 characters`,
    );
  const dataDir = values['data-dir'] ?? (env.MILLRACE_DATA_DIR || '.millrace');
  const addresses = Object.fromEntries((values.address ?? []).map(readAddress));
  return {
    project,
    json: values.json ?? false,
    timeoutMs: values.timeout === undefined ? 30_000 : parseDurationMs(values.timeout, '--timeout'),
    timeoutGiven: values.timeout !== undefined,
    dataDir,
    env: {
      ...env,
      // A folder that was asked for comes before addresses that happen to be in the environment.
      ...(values['data-dir'] === undefined ? {} : withoutAddresses(env)),
      MILLRACE_DATA_DIR: dataDir,
      ...addresses,
    },
  };
}

function readAddress(text: string): readonly [string, string] {
  const [context = '', address = ''] = text.split(/=(.*)/s);
  if (!/^\S+:\d{1,5}$/.test(address)) throw usage(`--address ${text} is not CONTEXT=HOST:PORT`);
  if (!contexts.some((one) => one === context))
    throw unknown('context', context, contexts, `--address takes: ${contexts.join(', ')}.`);
  return [`MILLRACE_${context.toUpperCase()}_ADDRESS`, address];
}

function withoutAddresses(env: Readonly<NodeJS.ProcessEnv>): Record<string, undefined> {
  const names = Object.keys(env).filter((name) => /^MILLRACE_([A-Z]+_ADDRESS|NATS_URL)$/.test(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
