import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Processes full of clients, each with a connection of its own: `swarm.ts` speaks HTTP/2 by hand, `crowd.ts` by the SDK. */

/** What a process is told at its start, as JSON in its only argument. */
export interface ClientsOrder {
  /** Where tracking listens. */
  readonly address: string;
  /** The run that is logged to. */
  readonly run: string;
  /** The key of this process's points. */
  readonly name: string;
  readonly clients: number;
}

/** What a process says when it ends. */
export interface ClientsTold {
  /** Steps whose call answered OK, as `key/step`. */
  readonly acknowledged: readonly string[];
  /** Steps that were sent and got no answer, or another. */
  readonly maybe: readonly string[];
}

/** Steps that each client may log: the next client's begin behind them. */
export const stepsEach = 100_000;

/** Starts one of the programs beside this file. */
export function startClients(
  program: 'swarm.ts' | 'crowd.ts',
  order: ClientsOrder,
  execArgv: readonly string[] = [],
): ChildProcess {
  return fork(join(import.meta.dirname, program), [JSON.stringify(order)], { execArgv: [...execArgv] });
}

/** What a process of clients says next. Throws when it ends instead. */
export async function heard<T>(clients: ChildProcess): Promise<T> {
  const died = once(clients, 'exit').then(([code]) =>
    Promise.reject(new Error(`a process of clients ended with ${code}`)),
  );
  return Promise.race([once(clients, 'message').then(([message]) => message as T), died]);
}

/** What a process of clients answers to a word. */
export function ask<T>(clients: ChildProcess, word: 'again' | 'end'): Promise<T> {
  const answer = heard<T>(clients);
  clients.send(word);
  return answer;
}
