export {
  createLogger,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  logLevels,
  silentLogger,
} from './logger.ts';
export { type StopTelemetry, setUpTelemetry, type TelemetryOptions } from './setup.ts';
