import { setTimeout as sleep } from 'node:timers/promises';
import { infer, type Millrace } from '@millrace/sdk';

/** Clients that ask a deployment all the time. */
export interface InferenceLoad {
  /** How many requests were answered, by the version that answered. */
  readonly byVersion: ReadonlyMap<string, number>;
  /** The version of the newest answer. */
  readonly newest: string;
  readonly answered: number;
  /** Requests that failed. */
  readonly failures: readonly unknown[];
  /** Answers that are not what the version that signs them would say. */
  readonly wrong: readonly string[];
  /** Ends after the requests under way. */
  stop(): Promise<void>;
}

/**
 * Six clients send three rows each, one request after the other. Version v of the model is expected to answer
 * `x · factor + factor`, with the v-th of the factors.
 */
export function startInferenceLoad(
  millrace: Millrace,
  deployment: string,
  factors: readonly number[],
  options: { readonly clients?: number; readonly deadlineMs?: number } = {},
): InferenceLoad {
  const failures: unknown[] = [];
  const wrong: string[] = [];
  const byVersion = new Map<string, number>();
  let [running, newest, answered] = [true, '', 0];

  const client = async (c: number) => {
    const { deadlineMs } = options;
    for (let i = 0; running; i++) {
      const values = [c, i % 1000, 0.5];
      try {
        const inputs = [{ name: 'x', type: 'FP32', values, columns: 1 }] as const;
        const answer = await infer(millrace, deployment, inputs, deadlineMs ? { deadlineMs } : {});
        const factor = factors[Number(answer.modelVersion) - 1] ?? Number.NaN;
        const expected = values.map((value) => Math.fround(value * factor + factor));
        if (answer.floats('y').join() !== expected.join()) wrong.push(`${answer.modelVersion}: ${values}`);
        byVersion.set(answer.modelVersion, (byVersion.get(answer.modelVersion) ?? 0) + 1);
        newest = answer.modelVersion;
        answered++;
      } catch (error) {
        failures.push(error);
        await sleep(20);
      }
    }
  };
  const clients = Promise.all(Array.from({ length: options.clients ?? 6 }, (_, c) => client(c)));
  return {
    byVersion,
    failures,
    wrong,
    get newest() {
      return newest;
    },
    get answered() {
      return answered;
    },
    stop: async () => {
      running = false;
      await clients;
    },
  };
}
