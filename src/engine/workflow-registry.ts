import { InvalidArgumentError } from "../errors.ts";
import type { WorkflowVersion } from "../model/leases.ts";
import type { Workflow } from "./workflow-builder.ts";

/** A claim names at most as many. */
const maxWorkflowIds = 1000;

/** The workflows, and the versions of each, that an engine can run. */
export class WorkflowRegistry {
  readonly #versions = new Map<string, Map<string, Workflow>>();

  /** @throws {InvalidArgumentError} when another workflow has this id and version. */
  register(workflow: Workflow): void {
    const versions = this.#versions.get(workflow.id) ?? new Map<string, Workflow>();
    const known = versions.get(workflow.version);
    if (known !== undefined && known !== workflow) {
      throw new InvalidArgumentError({
        argument: "workflow",
        reason: `another workflow ${workflow.id} of version ${workflow.version} is registered`,
      });
    }
    if (!this.#versions.has(workflow.id) && this.#versions.size === maxWorkflowIds) {
      throw new InvalidArgumentError({
        argument: "workflow",
        reason: `an engine runs at most ${maxWorkflowIds} workflows`,
      });
    }
    this.#versions.set(workflow.id, versions.set(workflow.version, workflow));
  }

  find(workflowId: string, version: string): Workflow | null {
    return this.#versions.get(workflowId)?.get(version) ?? null;
  }

  has({ workflowId, workflowVersion }: WorkflowVersion): boolean {
    return this.find(workflowId, workflowVersion) !== null;
  }

  get workflowIds(): string[] {
    return [...this.#versions.keys()];
  }
}
