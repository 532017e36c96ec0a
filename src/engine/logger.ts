/** What the engine reports to: `console`-like loggers need an adapter, pino fits as it is. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nothing = (): void => {};

/** Reports nothing: the default. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};

/** `logger` with `fields` in every report; those of a report win. */
export function withFields(logger: Logger, fields: object): Logger {
  const bind =
    (level: keyof Logger) =>
    (more: object, message: string): void =>
      logger[level]({ ...fields, ...more }, message);
  return {
    debug: bind("debug"),
    info: bind("info"),
    warn: bind("warn"),
    error: bind("error"),
  };
}
