import { createOpenTelemetry } from "./open-telemetry.ts";
import {
  noAttempt,
  noRun,
  noStart,
  noTelemetry,
  type AttemptTelemetry,
  type RunTelemetry,
  type StartTelemetry,
  type Telemetry,
} from "./telemetry.ts";

/**
 * False while the app has no OpenTelemetry provider. The API keeps its providers here; loading it to ask would block for
 * tens of milliseconds.
 */
export function hasTelemetry(): boolean {
  return Reflect.has(globalThis, Symbol.for("opentelemetry.js.api.1"));
}

/**
 * OpenTelemetry with the providers that are registered now, or no telemetry if the app does not have its API. Its errors
 * go to `report`.
 */
export async function findTelemetry(report: (error: unknown) => void): Promise<Telemetry> {
  try {
    // Bundlers treat an import inside `try` as optional.
    return guardTelemetry(createOpenTelemetry(await import("@opentelemetry/api")), report);
  } catch {
    return noTelemetry;
  }
}

/** The telemetry, with its errors reported instead of thrown: an app's provider or sampler must not disturb a run. */
function guardTelemetry(telemetry: Telemetry, report: (error: unknown) => void): Telemetry {
  function guard<T>(work: () => T, otherwise: T): T {
    try {
      return work();
    } catch (error) {
      report(error);
      return otherwise;
    }
  }

  /** Calls `work` once, even if `within` throws. An error of `work` itself is thrown. */
  function guardWithin(within: AttemptTelemetry["within"]): AttemptTelemetry["within"] {
    return <Result>(work: () => Result): Result => {
      let conclude = (): Result => {
        try {
          const result = work();
          conclude = () => result;
        } catch (thrown) {
          conclude = () => {
            throw thrown;
          };
        }
        return conclude();
      };
      const traced = (): void => {
        try {
          conclude();
        } catch {
          // It is thrown again at the end.
        }
      };
      guard(() => within(traced), undefined);
      return conclude();
    };
  }

  const guardStart = (start: StartTelemetry): StartTelemetry => ({
    ...start,
    within: guardWithin(start.within),
    end: (end) => guard(() => start.end(end), undefined),
  });
  const guardAttempt = (attempt: AttemptTelemetry): AttemptTelemetry => ({
    within: guardWithin(attempt.within),
    end: (end) => guard(() => attempt.end(end), undefined),
  });
  const guardRun = (run: RunTelemetry): RunTelemetry => ({
    linkToStart: (context) => guard(() => run.linkToStart(context), undefined),
    beginAttempt: (stepId, attempt) =>
      guard(() => guardAttempt(run.beginAttempt(stepId, attempt)), noAttempt),
    end: (ending) => guard(() => run.end(ending), undefined),
  });

  return {
    beginStart: (workflow) => guard(() => guardStart(telemetry.beginStart(workflow)), noStart),
    beginRun: (run) => guard(() => guardRun(telemetry.beginRun(run)), noRun),
    countFinished: (workflowId, status) =>
      guard(() => telemetry.countFinished(workflowId, status), undefined),
  };
}
