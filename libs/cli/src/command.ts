import type { Output } from './show/output.ts';

/** An option of a command. */
interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** May be given several times. */
  readonly multiple?: boolean;
  /** What stands for the value in the help: `FILE`. */
  readonly value?: string;
  readonly meaning: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type ValueOf<O extends OptionSpec> = O['type'] extends 'boolean'
  ? boolean
  : O extends { multiple: true }
    ? readonly string[]
    : string;

/** The values of the options that were given. */
export type OptionValues<S extends OptionSpecs> = { readonly [K in keyof S]?: ValueOf<S[K]> };

/** What a command gets. */
interface Invocation<S extends OptionSpecs = OptionSpecs> {
  readonly args: readonly string[];
  readonly options: OptionValues<S>;
  readonly globals: Globals;
  readonly out: Output;
}

/** What can be given to every command. */
export interface Globals {
  readonly project: string;
  readonly json: boolean;
  /** How long a call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** True when the timeout was asked for, so that watching ends by it too. */
  readonly timeoutGiven: boolean;
  readonly dataDir: string;
  /** The environment, with addresses and data folder from the options. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
}

/** A command, or one of a group. It returns its exit code; nothing means 0. */
export interface Command<S extends OptionSpecs = OptionSpecs> {
  readonly summary: string;
  /** The arguments, for example `FILTER`, `[MODEL]`, `VIEW:FEATURE...`. */
  readonly args: readonly string[];
  readonly options: S;
  /** Lines below the help: examples, notes. */
  readonly notes?: readonly string[];
  run(invocation: Invocation<S>): Promise<number | undefined>;
}

/** Commands under one word: `runs list`. */
export interface Group {
  readonly summary: string;
  readonly commands: Readonly<Record<string, Command>>;
}

/** Declares a command, keeping the types of its options. */
export function command<const S extends OptionSpecs>(spec: Command<S>): Command {
  return spec as unknown as Command;
}
