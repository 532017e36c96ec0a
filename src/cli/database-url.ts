import { existsSync, statSync } from "node:fs";
import { parseConfig } from "../client/config.ts";
import { CommandError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";

/** What a command does with a database that is not there. */
export type MissingFile = "create" | "refuse";

/**
 * The URL of the database that a command works on: a path stands for its file.
 *
 * @throws {CommandError} when none is named, when it is in memory, or when a file is missing that must be there:
 *   nobody who reads makes a file.
 */
export function resolveDatabaseUrl(given: string | undefined, missing: MissingFile): string {
  if (given === undefined || given === "") {
    throw new CommandError({
      code: "NO_DATABASE",
      message: "no database is named",
      remedy: "give --database file:./workflows.db, or set GORKFLOW_DATABASE_URL",
      exitCode: exitCodes.usage,
    });
  }
  const url = isUrl(given)
    ? given
    : `file:${encodeURI(given).replaceAll(/[?#]/g, encodeURIComponent)}`;
  if (/^(memory:|(file:)?:memory:)/.test(url)) {
    throw new CommandError({
      code: "DATABASE_IN_MEMORY",
      message: "a database in memory is gone when the command ends",
      remedy: "name a file or a server",
      exitCode: exitCodes.usage,
    });
  }
  if (url.startsWith("file:")) checkFile(parseConfig(url).path, missing);
  return url;
}

/** One letter and a colon is a drive of Windows. */
function isUrl(text: string): boolean {
  return /^[a-z][a-z+]+:/i.test(text) || text.startsWith(":memory:");
}

function checkFile(path: string, missing: MissingFile): void {
  if (!existsSync(path)) {
    if (missing === "create") return;
    throw new CommandError({
      code: "DATABASE_MISSING",
      message: `there is no database file ${path}`,
      remedy: "check the path, or run gorkflow migrate to make it",
    });
  }
  if (statSync(path).isDirectory()) {
    throw new CommandError({
      code: "DATABASE_MISSING",
      message: `${path} is a folder, not a database file`,
      remedy: "name the file in it",
    });
  }
}
