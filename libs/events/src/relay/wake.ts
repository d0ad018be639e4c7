/** A signal that one loop waits for. A signal given while nobody waits is kept for the next wait. */
export function createWake() {
  let given = false;
  let release: (() => void) | undefined;
  return {
    now(): void {
      given = true;
      release?.();
    },
    /** Waits for the signal, at most `ms`. */
    async wait(ms: number): Promise<void> {
      if (!given)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          release = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      given = false;
      release = undefined;
    },
  };
}
