import { StepTimeoutError } from "../errors.ts";
import type { Clock } from "../store/clock.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { StepDefinition } from "./define-step.ts";
import type { BoundLogger } from "./logger.ts";
import { AttemptContext } from "./step-context.ts";

export interface StepAttemptOptions {
  readonly definition: StepDefinition;
  readonly runId: string;
  readonly attempt: number;
  readonly sleepCount: number;
  readonly clock: Clock;
  readonly workerId: string;
  readonly store: WorkflowStore;
  readonly logger: BoundLogger;
  /** Stops the run here. */
  readonly stop: (reason: unknown) => void;
  readonly readOutput: (store: WorkflowStore, stepId: string) => Promise<unknown>;
  /** Aborts when the run stops. */
  readonly runSignal: AbortSignal;
}

/** One try of a step: its context, its time limit, and the end of both. */
export class StepAttempt {
  readonly ctx: AttemptContext;
  readonly #definition: StepDefinition;
  readonly #controller = new AbortController();
  readonly #aborted: Promise<never>;
  readonly #release: () => void;

  constructor({ definition, runSignal, ...options }: StepAttemptOptions) {
    const { signal } = this.#controller;
    const stepId = definition.id;
    this.#definition = definition;
    this.#aborted = new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    // Nobody may be racing when it rejects.
    this.#aborted.catch(() => {});
    const { runId, attempt } = options;
    const logger = options.logger.child({ runId, stepId, attempt });
    const suspend = (reason: Error): void => this.#controller.abort(reason);
    this.ctx = new AttemptContext({ ...options, stepId, signal, logger, suspend });

    const stop = (): void => this.#controller.abort(runSignal.reason);
    if (runSignal.aborted) stop();
    runSignal.addEventListener("abort", stop, { once: true });
    const { timeoutMs } = definition;
    const timer =
      timeoutMs === null
        ? null
        : setTimeout(
            () => this.#controller.abort(new StepTimeoutError({ stepId, timeoutMs })),
            timeoutMs,
          );
    this.#release = () => {
      runSignal.removeEventListener("abort", stop);
      if (timer !== null) clearTimeout(timer);
    };
  }

  /** Calls the step and returns what it returned, unless the attempt is aborted before. */
  invoke(input: unknown): Promise<unknown> {
    return this.race(this.#definition.invoke(input, this.ctx));
  }

  /** What `promise` resolves to. @throws the reason, when the attempt is aborted before; it does not wait. */
  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#aborted]);
  }

  /** Ends the time limit, and the use of the context. */
  end(): void {
    this.#release();
    this.ctx.end();
  }
}
