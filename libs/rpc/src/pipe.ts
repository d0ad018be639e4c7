/** A bounded queue between one writer and one reader. */
export interface Pipe<T> extends AsyncIterable<T> {
  /** Adds a value; false when the writer should wait for room. */
  push(value: T): boolean;
  /** Settles when there is room again, or nobody reads any more. */
  room(): Promise<void>;
  /** No more values will come; what is queued is still read. */
  end(): void;
  /** Like {@link end}, but the reader then gets this error. With `now` what is queued is dropped. */
  fail(error: unknown, now?: boolean): void;
}

export interface PipeOptions<T> {
  /** How many values wait before the writer should. */
  readonly limit: number;
  /** Called with each value that the reader takes. */
  readonly onTake?: (value: T) => void;
  /** Called when the reader took so many that there is room again. */
  readonly onRoom?: () => void;
  /** Called once when the reader stops before the end. */
  readonly onStop?: () => void;
}

/** Makes a pipe. It may be read once. */
export function createPipe<T>(options: PipeOptions<T>): Pipe<T> {
  const queue: T[] = [];
  let full = false;
  let over = false;
  let stopped = false;
  let failure: { readonly error: unknown } | undefined;
  let reader: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void } | undefined;
  let writer: (() => void) | undefined;

  const releaseWriter = () => {
    full = false;
    writer?.();
    writer = undefined;
  };
  const finish = () => {
    over = true;
    if (!reader || queue.length > 0) return;
    const waiting = reader;
    reader = undefined;
    if (failure) waiting.reject(failure.error);
    else waiting.resolve({ done: true, value: undefined });
  };
  const iterator: AsyncIterator<T> = {
    next: () => {
      if (queue.length > 0) {
        const value = queue.shift() as T;
        options.onTake?.(value);
        if (full && queue.length < options.limit) {
          releaseWriter();
          options.onRoom?.();
        }
        return Promise.resolve({ done: false, value });
      }
      if (over && failure) return Promise.reject(failure.error);
      if (over) return Promise.resolve({ done: true, value: undefined });
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
      });
    },
    return: () => {
      const early = !over;
      stopped = true;
      queue.length = 0;
      failure = undefined;
      finish();
      releaseWriter();
      if (early) options.onStop?.();
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  return {
    push: (value) => {
      if (over) return true;
      if (reader) {
        const waiting = reader;
        reader = undefined;
        options.onTake?.(value);
        waiting.resolve({ done: false, value });
        return true;
      }
      queue.push(value);
      full = queue.length >= options.limit;
      return !full;
    },
    room: () =>
      !full || stopped
        ? Promise.resolve()
        : new Promise((resolve) => {
            writer = resolve;
          }),
    end: () => {
      if (!over) finish();
    },
    fail: (error, now = false) => {
      if (stopped || failure || (over && !now)) return;
      failure = { error };
      if (now) queue.length = 0;
      finish();
      if (now) releaseWriter();
    },
    [Symbol.asyncIterator]: () => iterator,
  };
}
