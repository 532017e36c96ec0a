import { metrics, type BatchObservableCallback } from "@opentelemetry/api";
import type { PresentOptions } from "../reports/query/options.ts";
import { queueDepth } from "../reports/queue-depth.ts";
import type { ReportDatabase } from "../reports/query/query.ts";

export interface ObserveQueuesOptions extends Omit<PresentOptions, "now"> {}

/**
 * Registers OpenTelemetry gauges for the PENDING runs of each version of a workflow, until the returned function is
 * called: `gorkflow.queue.ready`, `gorkflow.queue.sleeping` and `gorkflow.queue.age`, in seconds. They have the values of
 * the report `queueDepth`, which is read at each collection. A version whose queue has become empty is reported as 0.
 *
 * Call it in one process, after the app has registered its meter provider. The engine has the other metrics.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function observeQueues<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ObserveQueuesOptions> = {},
): () => void {
  // Checks the arguments before the first collection.
  queueDepth(db, options);
  const meter = metrics.getMeter("gorkflow");
  const ready = meter.createObservableGauge("gorkflow.queue.ready", {
    description: "PENDING runs that a worker can claim",
  });
  const sleeping = meter.createObservableGauge("gorkflow.queue.sleeping", {
    description: "PENDING runs that continue or retry later",
  });
  const age = meter.createObservableGauge("gorkflow.queue.age", {
    description: "Time for which the oldest run that can be claimed has waited",
    unit: "s",
  });
  /** The versions that were observed, by their labels as text. */
  const known = new Map<string, Record<string, string>>();

  const observe: BatchObservableCallback = async (result) => {
    const empty = new Map(known);
    for (const row of await queueDepth(db, options)) {
      const labels = {
        "gorkflow.workflow.id": row.workflowId,
        "gorkflow.workflow.version": row.workflowVersion,
      };
      const key = JSON.stringify(labels);
      known.set(key, labels);
      empty.delete(key);
      result.observe(ready, row.ready, labels);
      result.observe(sleeping, row.sleeping, labels);
      result.observe(age, (row.waitingMs ?? 0) / 1000, labels);
    }
    for (const labels of empty.values()) {
      for (const gauge of [ready, sleeping, age]) result.observe(gauge, 0, labels);
    }
  };
  const gauges = [ready, sleeping, age];
  meter.addBatchObservableCallback(observe, gauges);
  return () => meter.removeBatchObservableCallback(observe, gauges);
}
