export { run, type Surroundings } from './cli/run.ts';
export { type Suite, type SuiteOptions, startSuite } from './suite/suite.ts';
