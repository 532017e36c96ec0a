import { InvalidArgumentError as InvalidOption, Option, type Command } from "commander";
import type { RunFilter } from "../model/run-queries.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { parseTime, timeForms } from "./output/times.ts";

/** Options that may be repeated. */
export const repeatableOptions: readonly string[] = ["status", "tag"];

/** The filter options. A run must match all of them. */
export interface FilterOptions {
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  readonly resource?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly after?: Date;
  readonly before?: Date;
}

export function addFilterOptions(command: Command): Command {
  return command
    .addOption(workflowOption())
    .addOption(statusOption())
    .option("-r, --resource <id>", "only runs of this resource")
    .option("-t, --tag <key=value>", "only runs with this tag; may be repeated", collectTag)
    .option("--after <time>", `only runs created at this time or later (${timeForms})`, parseTime)
    .option("--before <time>", "only runs created before this time", parseTime);
}

export function workflowOption(): Option {
  return new Option("-w, --workflow <id>", "only runs of this workflow");
}

export function statusOption(): Option {
  return new Option(
    "-s, --status <status>",
    "only runs in this status, or one of several: FAILED,CANCELLED",
  )
    .choices(runStatuses)
    .argParser(collectStatus);
}

export function filterOf({
  workflow,
  status,
  resource,
  tag,
  after,
  before,
}: FilterOptions): RunFilter {
  return {
    workflowId: workflow,
    status,
    resourceId: resource,
    tags: tag,
    createdAfter: after,
    createdBefore: before,
  };
}

/** Collects statuses in any case, separated by commas or from repeated options. */
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
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
