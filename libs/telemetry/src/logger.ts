import { trace } from '@opentelemetry/api';
import pino from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A structured logger: fields first, then one sentence. Never give it secrets or payloads. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export interface LoggerOptions {
  /** Named in every line. */
  readonly service: string;
  /** @default 'info' */
  readonly level?: LogLevel;
}

/**
 * Logs JSON lines to standard error, with the trace's id where there is one. Standard output stays free for what a
 * program reads. Fields that are named like secrets are masked as a second line of defence.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['*.password', '*.token', '*.secret', '*.authorization', 'password', 'token', 'secret'],
        censor: '***',
      },
      serializers: { err: pino.stdSerializers.errWithCause },
      mixin: () => {
        const context = trace.getActiveSpan()?.spanContext();
        return context ? { traceId: context.traceId, spanId: context.spanId } : {};
      },
    },
    destination,
  );
}

/** Discards everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
