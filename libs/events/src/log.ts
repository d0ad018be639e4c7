/** What this library needs of a logger; pino's loggers have this shape. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger that keeps silent. */
export const noLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
