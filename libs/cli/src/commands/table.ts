import type { Command, Group } from '../command.ts';

/** A command of the program, loaded when it is used. */
export interface Entry {
  readonly summary: string;
  load(): Promise<Command | Group>;
}

/** Every command, in the order of the help. */
export const commands: Readonly<Record<string, Entry>> = {
  up: {
    summary: 'Start the suite on this machine',
    load: async () => (await import('./up.ts')).up,
  },
  demo: {
    summary: 'Run the demonstration: the closed loop on real flights',
    load: async () => (await import('./demo.ts')).demo,
  },
  doctor: {
    summary: 'Check what is needed and say how to fix it',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  apply: {
    summary: 'Create or update resources from YAML',
    load: async () => (await import('./apply.ts')).apply,
  },
  events: {
    summary: 'Follow and read events',
    load: async () => (await import('./events.ts')).events,
  },
  replay: {
    summary: 'Publish recorded events again',
    load: async () => (await import('./replay.ts')).replay,
  },
  runs: {
    summary: 'Training runs: params, metrics',
    load: async () => (await import('./runs.ts')).runs,
  },
  features: {
    summary: 'Feature views and online values',
    load: async () => (await import('./features.ts')).features,
  },
  pipelines: {
    summary: 'Pipelines and their runs',
    load: async () => (await import('./pipelines.ts')).pipelines,
  },
  models: {
    summary: 'Models, versions, aliases and promotion',
    load: async () => (await import('./models.ts')).models,
  },
  deployments: {
    summary: 'Models that answer requests',
    load: async () => (await import('./deployments.ts')).deployments,
  },
  predict: {
    summary: 'Ask a deployment',
    load: async () => (await import('./predict.ts')).predict,
  },
  drift: {
    summary: 'What monitoring saw last',
    load: async () => (await import('./drift.ts')).drift,
  },
  lineage: {
    summary: 'What a resource came from and what came of it',
    load: async () => (await import('./lineage.ts')).lineage,
  },
};
