import {
  Health,
  type HealthCheckResponse_ServingStatus,
  HealthCheckResponse_ServingStatus as Status,
} from '@millrace/contracts/grpc-health';
import { notFound } from '@millrace/errors';
import { type Implementation, implement } from './handlers.ts';

/** The health of a server's services, and the service that tells it. */
export interface HealthBoard {
  readonly implementation: Implementation;
  /** Changes one service, or all of them and the server as a whole. */
  setServing(serving: boolean, service?: string): void;
}

type State = HealthCheckResponse_ServingStatus;

/** Makes a board on which everything serves. */
export function createHealth(services: readonly string[]): HealthBoard {
  const states = new Map<string, State>(['', ...services].map((name) => [name, Status.SERVING]));
  const watchers = new Set<() => void>();
  const implementation = implement(Health, {
    check: async ({ service }) => {
      const status = states.get(service);
      if (status === undefined) throw notFound(`service ${service}`);
      return { status };
    },
    list: async () => ({
      statuses: Object.fromEntries([...states].map(([name, status]) => [name, { status }])),
    }),
    watch: async function* ({ service }, { signal }) {
      let told: State | undefined;
      while (!signal.aborted) {
        const status = states.get(service) ?? Status.SERVICE_UNKNOWN;
        if (status !== told) {
          told = status;
          yield { status };
          continue;
        }
        await change(watchers, signal);
      }
    },
  });
  return {
    implementation,
    setServing: (serving, service) => {
      const status = serving ? Status.SERVING : Status.NOT_SERVING;
      for (const name of service === undefined ? [...states.keys()] : [service]) states.set(name, status);
      for (const tell of [...watchers]) tell();
    },
  };
}

/** Waits for the next change, or for the caller to leave. */
function change(watchers: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const tell = () => {
      watchers.delete(tell);
      signal.removeEventListener('abort', tell);
      resolve();
    };
    watchers.add(tell);
    signal.addEventListener('abort', tell);
  });
}
