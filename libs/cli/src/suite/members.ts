import { fileURLToPath } from 'node:url';
import type { Context } from '@millrace/contracts';

/** A service of the suite: its folder, its context and the port it takes when that is free. */
export interface Member {
  readonly name: string;
  readonly context: Context;
  /** Added to the base port. */
  readonly portOffset: number;
}

/** The services, in the order in which they are shown. */
export const members: readonly Member[] = [
  { name: 'tracking', context: 'tracking', portOffset: 0 },
  { name: 'registry', context: 'registry', portOffset: 1 },
  { name: 'feature-store', context: 'features', portOffset: 2 },
  { name: 'orchestrator', context: 'pipelines', portOffset: 3 },
  { name: 'serving', context: 'serving', portOffset: 4 },
  { name: 'monitoring', context: 'monitoring', portOffset: 5 },
];

/** The folder that holds services/, libs/ and examples/. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** The program of a service. */
export function programOf(name: string): string {
  return `${root}services/${name}/src/main.ts`;
}
