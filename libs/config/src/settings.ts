import type { z } from 'zod';

/** One setting: an environment variable, how it is read, what it means. */
export interface Setting<S extends z.ZodType = z.ZodType> {
  /** Reads and checks the text of the variable; use `z.coerce` for numbers. */
  readonly schema: S;
  /** The text used when the variable is absent; without one the setting is required, unless the schema is optional. */
  readonly default?: string;
  /** One line for `--print-config` and the service's README. */
  readonly meaning: string;
  /** Never printed. @default false */
  readonly secret?: boolean;
}

export type SettingRows = Readonly<Record<string, Setting>>;

/** What `loadSettings` answers for these rows. */
export type Config<R extends SettingRows> = { readonly [K in keyof R]: z.output<R[K]['schema']> };

/** Declares one setting, keeping its type. */
export function setting<S extends z.ZodType>(row: Setting<S>): Setting<S> {
  return row;
}

/** Declares the settings of a process. The keys are the names of environment variables. */
export function defineSettings<const R extends SettingRows>(rows: R): R {
  for (const name of Object.keys(rows)) {
    if (!/^[A-Z][A-Z0-9_]*$/.test(name))
      throw new TypeError(`setting ${name} is not an environment variable's name`);
  }
  return rows;
}
