import {
  noAttempt,
  noRun,
  noStart,
  type AttemptTelemetry,
  type RunTelemetry,
  type StartTelemetry,
  type Telemetry,
} from "./telemetry.ts";

/**
 * The telemetry, with nothing of what it throws reaching a run: a provider, a sampler or a processor is the app's, or
 * anybody's. It is reported, and what it was asked to trace is not traced.
 */
export function guardTelemetry(telemetry: Telemetry, report: (error: unknown) => void): Telemetry {
  function guard<T>(work: () => T, otherwise: T): T {
    try {
      return work();
    } catch (error) {
      report(error);
      return otherwise;
    }
  }

  /** Calls `work` once, whatever is thrown around it; what it throws itself is its own affair. */
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
          // It is thrown again below.
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
