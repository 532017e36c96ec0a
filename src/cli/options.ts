import { InvalidArgumentError as InvalidOption, Option, type Command } from "commander";
import type { RunFilter } from "../model/run-queries.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { parseTime, timeForms } from "./output/times.ts";

/** The options that several commands share. */
export const shared = {
  database: () =>
    new Option(
      "-d, --database <url>",
      "file:…, libsql://…, http(s)://…, ws(s)://… or the path of a file",
    ).env("GORKFLOW_DATABASE_URL"),
  prefix: () =>
    new Option("--prefix <text>", "the prefix that createWorkflowTables({ prefix }) was given"),
  json: (description = "print one JSON document instead of text") =>
    new Option("--json", description),
  ndjson: () => new Option("--ndjson", "print one JSON document per row").conflicts("json"),
  workflow: () => new Option("-w, --workflow <id>", "only runs of this workflow"),
  status: () =>
    new Option("-s, --status <status>", "only runs with one of these statuses: FAILED,CANCELLED")
      .choices(runStatuses)
      .argParser(collectStatus),
  resource: () => new Option("-r, --resource <id>", "only runs of this resource"),
  tag: () =>
    new Option("-t, --tag <key=value>", "only runs with this tag; can be repeated").argParser(
      collectTag,
    ),
  after: () =>
    new Option(
      "--after <time>",
      `only runs created at that time or later (${timeForms})`,
    ).argParser(parseTime),
  before: () =>
    new Option("--before <time>", "only runs created before that time").argParser(parseTime),
} satisfies Record<string, (description?: string) => Option>;

/** Options that can be given several times. */
export const repeatableOptions: readonly string[] = ["status", "tag"];

export function addFilterOptions(command: Command): Command {
  const { workflow, status, resource, tag, after, before } = shared;
  for (const create of [workflow, status, resource, tag, after, before]) {
    command.addOption(create());
  }
  return command;
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

/** Options that select runs. All conditions must hold. */
export interface FilterOptions {
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  readonly resource?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly after?: Date;
  readonly before?: Date;
}

export function filterOf(given: FilterOptions): RunFilter {
  return {
    workflowId: given.workflow,
    status: given.status,
    resourceId: given.resource,
    tags: given.tag,
    createdAfter: given.after,
    createdBefore: given.before,
  };
}

/** Statuses in any case, separated by commas or given with one option each. */
function collectStatus(text: string, before: readonly RunStatus[] = []): readonly RunStatus[] {
  const named = text.split(",").map((name) => {
    const found = runStatuses.find((status) => status === name.trim().toUpperCase());
    if (found === undefined) throw new InvalidOption(`A status is ${runStatuses.join(", ")}.`);
    return found;
  });
  return [...before, ...named];
}

function collectTag(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidOption("A tag is key=value.");
  const key = text.slice(0, at);
  if (Object.hasOwn(before, key)) throw new InvalidOption("A run has one value of a tag.");
  return { ...before, [key]: text.slice(at + 1) };
}
