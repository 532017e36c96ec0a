/** An error of a library that has no code of SQLite in its usual place. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  /** The primary or extended result code of SQLite, by name, or `LIBRARY_ERROR`. */
  readonly code: string;
  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
