export { type Endpoints, endpointsFile, findEndpoints } from './addresses.ts';
export { type ConnectOptions, connect, type Millrace } from './client.ts';
export { type ColumnValues, columnOf, hasValue, numbersOf, stringsOf, toBatch } from './columns.ts';
export { type AnyEvent, connectEvents, type Events, handler } from './events.ts';
export { type Inference, type InferOptions, infer, type TensorInput } from './infer.ts';
export { type RunLogger, type StartRunOptions, startRun } from './run-logger.ts';
export { currentStep, currentTask, type StepContext } from './step.ts';
