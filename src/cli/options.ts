import { Option } from "commander";

/** Options that several commands share. */

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

export function jsonOption(description = "one JSON document instead of text"): Option {
  return new Option("--json", description);
}

export function linesOption(): Option {
  return new Option("--ndjson", "a line of JSON per row").conflicts("json");
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

export interface LinesOptions {
  readonly ndjson?: true;
}
