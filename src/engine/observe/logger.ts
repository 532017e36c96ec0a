import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { withoutBoundValues } from "../run/step-errors.ts";

/**
 * A logger with the interface of pino. `createConsoleLogger` returns one for `console`. Errors are in the field `err`.
 * Errors that the logger throws are ignored.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Returns a logger that adds `fields` to every message. Without this method, the engine adds them. */
  child?(fields: object): Logger;
}

/** A logger that always has `child`. */
export interface BoundLogger extends Logger {
  child(fields: object): BoundLogger;
}

export const logLevels = ["debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof logLevels)[number];
type Log = (level: LogLevel, fields: object, message: string) => void;

/** A logger whose messages go to `log`. */
function loggerOf(log: Log): Logger {
  const at = (level: LogLevel) => (fields: object, message: string) => log(level, fields, message);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

const nothing = (): void => {};

/** Logs nothing. The default. */
export const silentLogger: BoundLogger = { ...loggerOf(nothing), child: () => silentLogger };

const consoleOptionsSchema = z.strictObject({ level: z._default(z.enum(logLevels), "info") });

/**
 * A logger that writes messages of this level or above to `console`, each with its fields. `level` defaults to "info".
 *
 * @throws {InvalidArgumentError} if the level does not exist.
 */
export function createConsoleLogger(options: { readonly level?: LogLevel } = {}): Logger {
  const { level: lowest } = parseArgument(consoleOptionsSchema, options, "options");
  return loggerOf((level, fields, message) => {
    if (logLevels.indexOf(level) >= logLevels.indexOf(lowest)) console[level](message, fields);
  });
}

/** Wraps `logger`: its errors are ignored, and bound values of queries are removed from messages. */
export function bindLogger(logger: Logger): BoundLogger {
  return bind(() => logger);
}

/** Calls `open` at the first message, because most steps log nothing. */
function bind(open: () => Logger): BoundLogger {
  let opened: Logger | null = null;
  const target = (): Logger => (opened ??= open());
  const log: Log = (level, fields, message) => {
    try {
      const result: unknown = target()[level](withLoggableError(fields), message);
      if (typeof result === "object") Promise.resolve(result).catch(nothing);
    } catch {
      // An error of the logger cannot be logged.
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
