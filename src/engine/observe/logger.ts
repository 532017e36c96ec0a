import { withoutBoundValues } from "../run/step-errors.ts";

/**
 * What the engine reports to: pino fits as it is, `console`-like loggers need an adapter. Errors come in the field
 * `err`. A logger that throws or rejects disturbs nothing.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger with `fields` in every report. Where there is none, the engine adds them itself. */
  child?(fields: object): Logger;
}

/** A logger that can always be given more fields. */
export interface BoundLogger extends Logger {
  child(fields: object): BoundLogger;
}

const nothing = (): void => {};

/** Reports nothing: the default. */
export const silentLogger: BoundLogger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};

export const logLevels = ["debug", "info", "warn", "error"] as const;

/** `logger` as the engine uses it: whatever it does disturbs no run, and no report quotes the values of a query. */
export function bindLogger(logger: Logger): BoundLogger {
  return bind(() => logger);
}

/** `open` is called for the first report: of most steps there is none. */
function bind(open: () => Logger): BoundLogger {
  let opened: Logger | null = null;
  const target = (): Logger => (opened ??= open());
  const report =
    (level: (typeof logLevels)[number]) =>
    (fields: object, message: string): void => {
      try {
        const reported: unknown = target()[level](withLoggableError(fields), message);
        if (typeof reported === "object") Promise.resolve(reported).catch(nothing);
      } catch {
        // There is nobody left to tell.
      }
    };
  return {
    debug: report("debug"),
    info: report("info"),
    warn: report("warn"),
    error: report("error"),
    child: (fields) => bind(() => childOf(target(), fields)),
  };
}

function childOf(logger: Logger, fields: object): Logger {
  if (logger.child !== undefined) return logger.child(fields);
  const report =
    (level: (typeof logLevels)[number]) =>
    (more: object, message: string): void =>
      logger[level]({ ...fields, ...more }, message);
  return {
    debug: report("debug"),
    info: report("info"),
    warn: report("warn"),
    error: report("error"),
  };
}

function withLoggableError(fields: object): object {
  if (!("err" in fields)) return fields;
  const err = withoutBoundValues(fields.err);
  return err === fields.err ? fields : { ...fields, err };
}
