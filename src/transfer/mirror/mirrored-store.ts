import { parseArgument } from "../../arguments.ts";
import { operationOptionsSchema } from "../../model/arguments.ts";
import type { OperationOptions } from "../../store/options.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { OperationsStore } from "../../stores/operations-store.ts";
import {
  mirrorOptionsSchema,
  switchOverOptionsSchema,
  type DivergenceReport,
  type MirrorOptions,
  type ResyncReport,
  type SwitchOverOptions,
  type SwitchOverReport,
} from "./mirror-options.ts";
import { MirrorState } from "./mirror-state.ts";

/**
 * A store that answers from one and keeps another up to date: for a move without downtime.
 *
 * The primary answers everything. What a write has changed is brought over to the secondary afterwards, in the
 * order of the changes; no call waits for that or fails by it, however slow the secondary is, or gone. What could
 * not be brought over is in `divergence()`. `switchOver` makes the secondary the one that answers.
 *
 * It knows the changes that are made through it: all writers of the primary must use it, and so must be in one
 * process. It takes no part in an app's own transactions (`HostTransactions`).
 */
export class MirroredStore extends OperationsStore {
  readonly #state: MirrorState;

  constructor(primary: WorkflowStore, secondary: WorkflowStore, options: MirrorOptions = {}) {
    const state = new MirrorState(
      primary,
      secondary,
      parseArgument(mirrorOptionsSchema, options, "options"),
    );
    super(state.operations);
    this.#state = state;
  }

  /** The store that answers now. */
  get answering(): WorkflowStore {
    return this.#state.answering;
  }

  divergence(): DivergenceReport {
    return this.#state.divergence();
  }

  /**
   * Resolves when everything that was changed until now has been brought over, or has failed for itself.
   *
   * @throws the error of an attempt that fails meanwhile; it will be made again.
   */
  async drain(options: OperationOptions = {}): Promise<void> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    await this.#state.drain(signal);
  }

  /**
   * Compares both stores, run by run, and brings over what differs: after a restart, since what a process that was
   * killed had not brought over yet nobody knows any more, and when `divergence()` tells of missed changes or of runs
   * that failed. Runs that the primary does not have are deleted from the secondary. Calls go on meanwhile.
   *
   * @throws {SwitchOverError} while the stores are compared already.
   * @throws {UnreadableRunsError} when the primary has runs that cannot be read; all others were copied before.
   * @throws {InvalidArgumentError} when both stores are the same database.
   * @throws what the secondary throws.
   */
  async resync(options: OperationOptions = {}): Promise<ResyncReport> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    return this.#state.resync(signal);
  }

  /**
   * Makes the secondary the store that answers, when it holds what the primary does; the primary then follows, so
   * that switching back is possible.
   *
   * Compares both stores, run by run, while calls go on; brings over what differs, and begins again until there is
   * little. For the rest calls wait, none fails: those under way end, the last changes are brought over, and what
   * had differed is compared once more.
   *
   * @throws {SwitchOverError} when it did not come to that: the primary goes on answering.
   * @throws {UnreadableRunsError} when the primary has runs that cannot be read, and so cannot be moved.
   * @throws what the secondary throws.
   */
  async switchOver(options: SwitchOverOptions = {}): Promise<SwitchOverReport> {
    return this.#state.switchOver(parseArgument(switchOverOptionsSchema, options, "options"));
  }

  /** Waits for the calls under way, copies what is pending, once, and closes both stores. */
  override async close(): Promise<void> {
    await this.#state.close();
  }
}
