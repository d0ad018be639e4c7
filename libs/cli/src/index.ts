export { run, type Surroundings } from './cli/run.ts';
export { endpointsFile } from './suite/endpoints-file.ts';
export { type Suite, type SuiteOptions, startSuite } from './suite/suite.ts';
