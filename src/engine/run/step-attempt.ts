import { StepTimeoutError } from "../../errors.ts";
import type { StepDefinition } from "../definition/define-step.ts";
import type { RunScope } from "./run-scope.ts";
import { AttemptContext } from "./step-context.ts";
import type { StepRun } from "./stage-run.ts";

/** One try of a step: its context, its time limit, and the end of both. */
export class StepAttempt {
  readonly ctx: AttemptContext;
  readonly #definition: StepDefinition;
  readonly #controller = new AbortController();
  readonly #aborted: Promise<never>;
  readonly #release: () => void;

  constructor(scope: RunScope, { planned, attempt, sleepCount }: StepRun) {
    const { definition } = planned;
    const { signal } = this.#controller;
    const { signal: runSignal } = scope;
    const stepId = definition.id;
    this.#definition = definition;
    this.#aborted = new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    // Nobody may be racing when it rejects.
    this.#aborted.catch(() => {});
    const suspend = (reason: Error): void => this.#controller.abort(reason);
    this.ctx = new AttemptContext(scope, { stepId, attempt, sleepCount, signal, suspend });

    const stop = (): void => this.#controller.abort(runSignal.reason);
    if (runSignal.aborted) stop();
    runSignal.addEventListener("abort", stop);
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
