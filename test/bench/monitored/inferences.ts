import { create } from '@bufbuild/protobuf';
import { names, servingEvents } from '@millrace/contracts';
import { type ColumnBatch, ColumnBatchSchema, ColumnType } from '@millrace/contracts/common';
import { type Bus, publish } from '@millrace/events';

/** Rows of one event of serving's log: 20 columns stay below its 700 KB. */
const eventRows = 3_500;
/** So many different events are made; longer logs repeat their values under new ids. */
const differentEvents = 20;

export const columnCount = 20;
/** The last two columns are texts, the two before whole numbers of few values, the others normal. */
export const columnNames = Array.from({ length: columnCount }, (_, c) => `x${c}`);
const isText = (c: number) => c >= columnCount - 2;
const isFew = (c: number) => c >= columnCount - 4 && !isText(c);

const modelVersion = names.modelVersion.format({ project: 'default', model: 'm', version: '1' });
export const deploymentNamed = (deployment: string) =>
  names.deployment.format({ project: 'default', deployment });

/** A generator of the same numbers in every run, in [0, 1). Source: Numerical Recipes, 7.1. */
function createUniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Rows of all columns; `shift` moves the normal ones, in standard deviations. */
export function makeRows(rowCount: number, shift: number, seed: number): ColumnBatch {
  const uniform = createUniform(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const columns = columnNames.map((name, c) => {
    if (isText(c)) {
      const strings = Array.from({ length: rowCount }, () => `c${Math.floor(uniform() ** 2 * 40)}`);
      return { name, type: ColumnType.STRING, strings };
    }
    const value = isFew(c) ? () => Math.floor(uniform() * 5) : () => normal() + shift;
    return { name, type: ColumnType.DOUBLE, doubles: Array.from({ length: rowCount }, value) };
  });
  return create(ColumnBatchSchema, { rowCount, columns });
}

/** Writes inferences into the log as serving does: events in columns, in order, all within one second of event time. */
export function createInferences(bus: Bus) {
  const events = Array.from({ length: differentEvents }, (_, e) => makeRows(eventRows, 0.2, e + 1));
  let written = 0;

  async function write(deployment: string, atMs: number, first: number, rowCount: number): Promise<void> {
    const whole = events[first % differentEvents]!;
    const inputs = rowCount === eventRows ? whole : makeRows(rowCount, 0.2, 99);
    const ids = Array.from({ length: rowCount }, (_, row) => `${first}/${row}`);
    await publish(bus, servingEvents.inferenceLogged, {
      project: 'default',
      resource: deploymentNamed(deployment),
      data: {
        ...{ deployment: deploymentNamed(deployment), modelVersion, sampleRate: 1, inputs },
        ...{ inferenceIds: ids, requestIds: ids.map(() => `${first}`) },
        eventTimes: ids.map(() => BigInt(atMs) * 1000n),
      },
    });
  }

  return {
    /** Logs so many rows of a deployment at this time, some events at once. */
    async log(deployment: string, rows: number, atMs: number): Promise<void> {
      for (let done = 0; done < rows; ) {
        const sent: Promise<void>[] = [];
        for (; done < rows && sent.length < 8; done += eventRows)
          sent.push(write(deployment, atMs, written++, Math.min(eventRows, rows - done)));
        await Promise.all(sent);
      }
    },
  };
}
