import { Option } from "commander";
import { isWorkflow, type Workflow } from "../engine/definition/workflow-builder.ts";
import type { WorkflowVersion } from "../model/leases.ts";
import { loadModule } from "./drizzle-project.ts";
import { CommandError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";
import { guardAgainstExit } from "./failures.ts";
import type { JsonOptions } from "./options.ts";
import { reserveOutput } from "./output/output.ts";

export interface DefinitionOptions {
  readonly definitions?: string;
}

export const definitionsOption = (): Option =>
  new Option(
    "--definitions <file>",
    "a module that exports workflows, whose names and descriptions are shown",
  );

/**
 * The workflows that a module exports, one by one or in lists. None without a module.
 *
 * @throws {CommandError} if the module cannot be loaded, or exports none.
 */
export async function loadDefinitions({
  definitions: path,
  json,
}: DefinitionOptions & JsonOptions): Promise<readonly Workflow[]> {
  if (path === undefined) return [];
  // The module may print, and may end the process.
  reserveOutput();
  const stopGuarding = guardAgainstExit(json === true);
  const loaded = await loadModule(path).finally(stopGuarding);
  const exported = Object.values(loaded as object).flat() as unknown[];
  const workflows = [...new Set(exported.filter(isReadableWorkflow))];
  if (workflows.length > 0) return workflows;
  throw new CommandError({
    code: "DEFINITIONS_MISSING",
    message: `${path} exports no workflow`,
    remedy: "name a module that exports results of `build()`",
    exitCode: exitCodes.usage,
  });
}

/** False for an export that throws when it is read, such as a proxy for a connection that is not configured. */
function isReadableWorkflow(value: unknown): value is Workflow {
  try {
    return isWorkflow(value);
  } catch {
    return false;
  }
}

/** The definition of this version, or else of another version of the workflow. */
export function definitionOf(
  workflows: readonly Workflow[],
  { workflowId, workflowVersion }: WorkflowVersion,
): Workflow | undefined {
  const versions = workflows.filter(({ id }) => id === workflowId);
  return versions.find(({ version }) => version === workflowVersion) ?? versions.at(-1);
}
