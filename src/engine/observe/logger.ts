import { withoutBoundValues } from "../run/step-errors.ts";

/**
 * A logger as pino has it. `console`-like loggers need an adapter. Errors come in the field `err`. Errors of the logger
 * itself are ignored.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds `fields` to every message. If it is missing, the engine adds them. */
  child?(fields: object): Logger;
}

/** A logger that always has `child`. */
export interface BoundLogger extends Logger {
  child(fields: object): BoundLogger;
}

export const logLevels = ["debug", "info", "warn", "error"] as const;

type Log = (level: (typeof logLevels)[number], fields: object, message: string) => void;

/** A logger whose messages go to `log`. */
function loggerOf(log: Log): Logger {
  return {
    debug: (fields, message) => log("debug", fields, message),
    info: (fields, message) => log("info", fields, message),
    warn: (fields, message) => log("warn", fields, message),
    error: (fields, message) => log("error", fields, message),
  };
}

const nothing = (): void => {};

/** Logs nothing. The default. */
export const silentLogger: BoundLogger = { ...loggerOf(nothing), child: () => silentLogger };

/** `logger` without its errors, and without the values of queries in messages. */
export function bindLogger(logger: Logger): BoundLogger {
  return bind(() => logger);
}

/** `open` is called for the first message: most steps log none. */
function bind(open: () => Logger): BoundLogger {
  let opened: Logger | null = null;
  const target = (): Logger => (opened ??= open());
  const log: Log = (level, fields, message) => {
    try {
      const result: unknown = target()[level](withLoggableError(fields), message);
      if (typeof result === "object") Promise.resolve(result).catch(nothing);
    } catch {
      // The error cannot be logged either.
    }
  };
  return { ...loggerOf(log), child: (fields) => bind(() => childOf(target(), fields)) };
}

function childOf(logger: Logger, fields: object): Logger {
  if (logger.child !== undefined) return logger.child(fields);
  return loggerOf((level, more, message) => logger[level]({ ...fields, ...more }, message));
}

function withLoggableError(fields: object): object {
  if (!("err" in fields)) return fields;
  const err = withoutBoundValues(fields.err);
  return err === fields.err ? fields : { ...fields, err };
}
