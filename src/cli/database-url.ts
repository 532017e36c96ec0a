import { closeSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { parseConfig } from "../client/config.ts";
import { hasCredentials, isServer } from "../stores/libsql/open-options.ts";
import { CommandError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";

/**
 * What a command does to the database. `look` changes nothing in a file, not even its journal mode. Only `create` creates
 * a missing file.
 */
export type Access = "look" | "change" | "create";

/**
 * The URL of the database that a command works on. A path becomes a `file:` URL.
 *
 * `source` is the option or variable that named it, for errors.
 *
 * @throws {CommandError} if no database is named, if it is in memory, or if a file is missing and must exist.
 */
export function resolveDatabaseUrl(
  given: string | undefined,
  access: Access,
  source = "the database",
): string {
  if (given === undefined || given === "") {
    throw new CommandError({
      code: "NO_DATABASE",
      message: "no database was given",
      remedy: "give --database file:./workflows.db, or set GORKFLOW_DATABASE_URL",
      exitCode: exitCodes.usage,
    });
  }
  const url = urlOf(given);
  if (/^(memory:|(file:)?:memory:)/.test(url)) {
    throw new CommandError({
      code: "DATABASE_IN_MEMORY",
      message: "a database in memory disappears when the command ends",
      remedy: "give a file or a server",
      exitCode: exitCodes.usage,
    });
  }
  if (!url.startsWith("file:") && !isServer(url)) {
    throw new CommandError({
      code: "UNKNOWN_DATABASE_URL",
      message: `${source} is not one that gorkflow opens: its URL begins with ${url.replace(/:.*/s, ":")}`,
      remedy:
        "give the path of a file, or a URL that begins with file:, libsql:, https:, http:, wss: or ws:",
      exitCode: exitCodes.usage,
    });
  }
  if (hasCredentials(url)) {
    throw new CommandError({
      code: "CREDENTIALS_IN_URL",
      message: "the URL has a user or a password, which libSQL servers do not accept",
      remedy: "set GORKFLOW_AUTH_TOKEN",
      exitCode: exitCodes.usage,
    });
  }
  if (url.startsWith("file:")) checkFile(parseConfig(url).path, access);
  return url;
}

/**
 * Passes unless both names lead to one database.
 *
 * @throws {CommandError} if they do.
 */
export function refuseSameDatabase(first: string, second: string): void {
  if (placeOf(first) !== placeOf(second)) return;
  throw new CommandError({
    code: "SAME_DATABASE",
    message: "both are the same database",
    remedy: "give two databases",
    exitCode: exitCodes.usage,
  });
}

/** Equal for two names of one database, such as links to one file. */
function placeOf(given: string): string {
  const url = urlOf(given);
  if (!url.startsWith("file:")) return url.replace(/[/?#]*(\?.*)?$/, "");
  const { path } = parseConfig(url);
  const file = statsOf(path);
  return file === undefined ? path : `${file.dev}:${file.ino}`;
}

function urlOf(given: string): string {
  if (isUrl(given)) return given;
  // Two slashes at the beginning of a path are one, but in a URL they begin a host.
  const path = given.replace(/^\/+/, "/");
  return `file:${encodeURI(path).replaceAll(/[?#]/g, encodeURIComponent)}`;
}

/** A single letter before the colon is a Windows drive. */
function isUrl(text: string): boolean {
  return /^[a-z][a-z+]+:/i.test(text) || text.startsWith(":memory:");
}

/** The error for a file that looks like a copy without its log, if it has no tables; otherwise null. */
export function incompleteCopyAt(url: string): CommandError | null {
  if (!url.startsWith("file:")) return null;
  const { path } = parseConfig(url);
  // A reader creates an empty log.
  const log = statsOf(`${path}-wal`);
  if (!isInWalMode(path) || (log !== undefined && log.size > 0)) return null;
  return new CommandError({
    code: "DATABASE_INCOMPLETE",
    message: `${path} has no tables, and no ${path}-wal with newer commits is beside it`,
    remedy:
      "if it is a copy, copy it again with its -wal, or by VACUUM INTO; if nothing has made the tables yet, run gorkflow migrate",
  });
}

function isInWalMode(path: string): boolean {
  const header = Buffer.alloc(20);
  const file = accessing(path, () => openSync(path, "r"));
  readSync(file, header, 0, header.length, 0);
  closeSync(file);
  return header[18] === 2;
}

function checkFile(path: string, access: Access): void {
  const found = statsOf(path);
  const isNew = found === undefined && access === "create";
  const folder = dirname(path);
  if (isNew ? statsOf(folder)?.isDirectory() : found?.isDirectory() === false) return;
  throw new CommandError({
    code: "DATABASE_MISSING",
    ...(isNew
      ? {
          message: `there is no folder ${folder} for the database file`,
          remedy: "check the path, or create the folder",
        }
      : found === undefined
        ? {
            message: `there is no database file ${path}`,
            remedy: "check the path, or run gorkflow migrate to create it",
          }
        : {
            message: `${path} is a folder, not a database file`,
            remedy: "name the file in it",
          }),
  });
}

function statsOf(path: string) {
  return accessing(path, () => statSync(path, { bigint: true, throwIfNoEntry: false }));
}

/** @throws {CommandError} if the system does not allow the access. */
function accessing<T>(path: string, access: () => T): T {
  try {
    return access();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `${path} cannot be opened (${code})`;
    const remedy = "check the path and its permissions";
    throw new CommandError({ code: "DATABASE_INACCESSIBLE", message, remedy }, { cause });
  }
}
