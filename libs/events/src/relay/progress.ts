import type { Placed } from './marks.ts';

/** How far a relay came, and where the stream has what it published since it was last told. */
export interface Step {
  readonly upTo: number;
  readonly stored: readonly (Placed & { readonly fresh: boolean })[];
}

/**
 * Writes down how far a relay came while it goes on publishing: what comes while a write is under way is written together
 * by the next one. After a failure nothing is written until it was thrown; `onFailure` is called.
 */
export function createProgress(write: (step: Step) => Promise<void>, onFailure: () => void) {
  let waiting: Step | undefined;
  let writing: Promise<void> | undefined;
  let failure: { readonly error: unknown } | undefined;

  async function run(): Promise<void> {
    try {
      for (let step = waiting; step; step = waiting) {
        waiting = undefined;
        await write(step);
      }
    } catch (error) {
      waiting = undefined;
      failure = { error };
      onFailure();
    } finally {
      writing = undefined;
    }
  }

  function throwFailure(): void {
    if (!failure) return;
    const { error } = failure;
    failure = undefined;
    throw error;
  }

  return {
    note({ upTo, stored }: Step): void {
      if (failure) return;
      waiting = { upTo, stored: [...(waiting?.stored ?? []), ...stored] };
      writing ??= run();
    },
    throwFailure,
    /** Settles when all is written; throws what was in the way. */
    async written(): Promise<void> {
      await writing;
      throwFailure();
    },
  };
}
