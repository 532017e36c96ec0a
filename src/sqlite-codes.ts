/** The low byte of a result code is its primary code. https://sqlite.org/rescode.html lists them in order. */
const primaryCodes = [
  "OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN",
  "PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB NOTICE WARNING",
].flatMap((line) => line.split(" "));

/** The name of the primary code of a result code. */
export function primaryCode(rawCode: number | undefined): string {
  if (rawCode === undefined) return "SQLITE_UNKNOWN";
  const code = rawCode & 0xff;
  const name = code === 0 ? undefined : primaryCodes[code];
  return name === undefined ? `SQLITE_UNKNOWN_${code}` : `SQLITE_${name}`;
}
