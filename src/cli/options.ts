import { Option } from "commander";

/** Options that several commands have, each in the same words. */

export function databaseOption(): Option {
  return new Option(
    "-d, --database <url>",
    "file:…, libsql://…, http(s)://… or ws(s)://…, or the path of a file",
  ).env("GORKFLOW_DATABASE_URL");
}

export function prefixOption(): Option {
  return new Option(
    "--prefix <text>",
    "the tables are those of createWorkflowTables({ prefix: <text> })",
  );
}

export function jsonOption(): Option {
  return new Option("--json", "one JSON document instead of text");
}

export interface DatabaseOptions {
  readonly database?: string;
}

export interface TableOptions extends DatabaseOptions {
  readonly prefix?: string;
}

export interface JsonOptions {
  readonly json?: true;
}
