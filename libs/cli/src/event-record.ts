import type { Millrace } from '@millrace/sdk';

type EventLog = ReturnType<Millrace['eventLog']>;

/**
 * The newest sequence number of a service's record; 0 when it is empty. The contract tells what follows a number, not
 * which is the last: the number is searched for, with one event for each question.
 */
export async function lastSequence(log: EventLog): Promise<number> {
  /** The number of the first event after one; undefined when there is none. */
  const after = async (sequence: number) => {
    const { events } = await log.listEvents({ afterSequence: BigInt(sequence), pageSize: 1 });
    return events[0] && Number(events[0].sequence);
  };
  let known = 0;
  let step = 64;
  let next = await after(known);
  // First with growing steps until nothing follows, then by halves.
  while (next !== undefined) {
    known = next;
    next = await after(known + step);
    if (next !== undefined) step *= 4;
  }
  for (let low = known, high = known + step; low < high; ) {
    const middle = Math.floor((low + high) / 2);
    const found = await after(middle);
    if (found === undefined) high = middle;
    else {
      known = found;
      low = found;
    }
  }
  return known;
}
