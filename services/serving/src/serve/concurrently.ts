/**
 * Maps a stream with several at a time and answers in order. A slow one holds back answers, not the work behind it.
 * The first failure ends it; what was begun is left to end by itself.
 */
export async function* mapConcurrently<I, O>(
  items: AsyncIterable<I>,
  limit: number,
  map: (item: I) => Promise<O>,
): AsyncGenerator<O> {
  const begun: Promise<O>[] = [];
  const source = items[Symbol.asyncIterator]();
  let reading: Promise<IteratorResult<I>> | undefined;
  let ended = false;
  try {
    while (!ended || begun.length > 0) {
      if (!ended && begun.length < limit) reading ??= source.next();
      const head = begun[0];
      const step = reading && begun.length < limit ? reading : undefined;
      // Whichever comes first: another request, or the answer that is next in order.
      const first = await Promise.race([
        ...(head ? [head.then(() => 'answer' as const)] : []),
        ...(step ? [step.then(() => 'request' as const)] : []),
      ]);
      if (first === 'answer') {
        yield await (begun.shift() as Promise<O>);
        continue;
      }
      const { done, value } = await (step as Promise<IteratorResult<I>>);
      reading = undefined;
      if (done) {
        ended = true;
        continue;
      }
      const result = map(value);
      // Its failure is told when its turn comes.
      result.catch(() => undefined);
      begun.push(result);
    }
  } finally {
    if (!ended) void source.return?.().catch(() => undefined);
  }
}
