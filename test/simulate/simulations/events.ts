import { controls } from '../events/controls.ts';
import { play } from '../events/play.ts';
import type { Simulation } from '../simulation.ts';

/** The relay, the consumers and the document store, between two services of two replicas and a server of streams. */
export const simulation: Simulation = { name: 'events', controls, play };
