/** Runs pieces of work about the same thing one after the other. */
export type Turns = <T>(about: string, work: () => Promise<T>) => Promise<T>;

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return async (about, work) => {
    const before = last.get(about) ?? Promise.resolve();
    const mine = before.then(work, work);
    last.set(about, mine);
    try {
      return await mine;
    } finally {
      if (last.get(about) === mine) last.delete(about);
    }
  };
}
