import { versionKey, type WorkflowVersion } from "../../model/leases.ts";
import { checkWorkflow, invalidWorkflow, type Workflow } from "./workflow-builder.ts";

/** The maximum number in a claim. */
const maxVersions = 1000;

/** The versions of workflows that an engine can run. */
export class WorkflowRegistry {
  readonly #workflows = new Map<string, Workflow>();
  versions: readonly WorkflowVersion[] = [];

  /** @throws {InvalidArgumentError} if it is not built, or another workflow has this id and version. */
  register(workflow: Workflow): void {
    checkWorkflow(workflow);
    const { id, version } = workflow;
    const key = versionKey({ workflowId: id, workflowVersion: version });
    const known = this.#workflows.get(key);
    if (known === workflow) return;
    if (known !== undefined)
      throw invalidWorkflow(`another workflow ${id} of version ${version} is registered`);
    if (this.versions.length === maxVersions) {
      throw invalidWorkflow(`an engine runs at most ${maxVersions} versions of workflows`);
    }
    this.#workflows.set(key, workflow);
    this.versions = [...this.versions, { workflowId: id, workflowVersion: version }];
  }

  find(version: WorkflowVersion): Workflow | null {
    return this.#workflows.get(versionKey(version)) ?? null;
  }
}
