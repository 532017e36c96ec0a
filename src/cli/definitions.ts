import { Option } from "commander";
import { isWorkflow, type Workflow } from "../engine/definition/workflow-builder.ts";
import type { WorkflowVersion } from "../model/leases.ts";
import { loadModule } from "./drizzle-project.ts";
import { CommandError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";

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
}: DefinitionOptions): Promise<readonly Workflow[]> {
  if (path === undefined) return [];
  const exported = Object.values((await loadModule(path)) as object).flat() as unknown[];
  const workflows = [...new Set(exported.filter(isWorkflow))];
  if (workflows.length > 0) return workflows;
  throw new CommandError({
    code: "DEFINITIONS_MISSING",
    message: `${path} exports no workflow`,
    remedy: "name a module that exports results of `build()`",
    exitCode: exitCodes.usage,
  });
}

/** The definition of this version, or else of another version of the workflow. */
export function definitionOf(
  workflows: readonly Workflow[],
  { workflowId, workflowVersion }: WorkflowVersion,
): Workflow | undefined {
  const versions = workflows.filter(({ id }) => id === workflowId);
  return versions.find(({ version }) => version === workflowVersion) ?? versions.at(-1);
}
