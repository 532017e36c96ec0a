import type { WorkflowPause } from "../schema/rows.ts";
import type { OperationOptions } from "./options.ts";

export interface PauseOptions extends OperationOptions {
  /** The time of the pause, to copy one. Defaults to the current time. */
  readonly pausedAt?: Date | undefined;
  /** Why the workflow is paused, in 1 to 1000 characters. */
  readonly reason?: string | undefined;
}

export interface PauseStore {
  /**
   * Pauses a workflow in all its versions: no later claim returns a run of it, until `resumeWorkflow`. Runs that workers
   * hold continue until they end or are released, or until their leases expire. Everything but claims works as before.
   * The workflow needs no runs. Returns false, and changes nothing, if it is paused already.
   *
   * @throws {InvalidArgumentError} if the id or an option is invalid.
   */
  pauseWorkflow(workflowId: string, options?: PauseOptions): Promise<boolean>;

  /**
   * Ends the pause of a workflow. Workers claim its runs at their next poll. Returns false if it is not paused.
   *
   * @throws {InvalidArgumentError} if the id is invalid.
   */
  resumeWorkflow(workflowId: string, options?: OperationOptions): Promise<boolean>;

  /**
   * Returns the paused workflows, ordered by the UTF-8 bytes of their ids.
   *
   * @throws {CorruptRowError} if a pause cannot be read. It is in force anyway.
   */
  listPausedWorkflows(options?: OperationOptions): Promise<WorkflowPause[]>;
}
