import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

/** The run-time exports of each entry of the package. */
const entries: Readonly<Record<string, readonly string[]>> = {
  ".": [
    "ConstraintError",
    "CorruptRowError",
    "Engine",
    "EngineClosedError",
    "ExportFileError",
    "ExportTooNewError",
    "GorkflowError",
    "IncompleteExportError",
    "InvalidArgumentError",
    "InvalidExportError",
    "InvalidValueError",
    "LeaseLostError",
    "LibSQLStore",
    "MemoryStore",
    "RefusedRunsError",
    "RevisionConflictError",
    "RunAbandonedError",
    "RunAlreadyExistsError",
    "RunCancelledError",
    "RunNotFoundError",
    "RunTimeoutError",
    "RunTransitionError",
    "SQLiteStore",
    "SchemaOutOfDateError",
    "SchemaTooNewError",
    "StateNotFoundError",
    "StepExecutionAlreadyExistsError",
    "StepExecutionNotFoundError",
    "StepOutputNotFoundError",
    "StepSleepingError",
    "StepTimeoutError",
    "StepTransitionError",
    "StepValidationError",
    "StoreBusyError",
    "StoreClosedError",
    "StoreConnectionError",
    "StoreFullError",
    "SwitchOverError",
    "UnreadableRunsError",
    "UnsupportedError",
    "createBulkChanges",
    "createConsoleLogger",
    "decodeJson",
    "defineStep",
    "defineWorkflow",
    "encodeJson",
    "hasHostTransactions",
    "openStore",
    "openStoreFromEnv",
    "runStatuses",
    "silentLogger",
    "stepIf",
    "stepStatuses",
    "systemClock",
  ],
  "./schema": [
    "createWorkflowRelations",
    "createWorkflowTables",
    "newStepAttemptSchema",
    "newStepExecutionSchema",
    "newStepOutputSchema",
    "newWorkflowRunSchema",
    "newWorkflowStateSchema",
    "runStatusSchema",
    "runStatuses",
    "schema",
    "stepAttemptSchema",
    "stepAttempts",
    "stepAttemptsRelations",
    "stepExecutionChangesSchema",
    "stepExecutionSchema",
    "stepExecutions",
    "stepExecutionsRelations",
    "stepOutputSchema",
    "stepOutputs",
    "stepOutputsRelations",
    "stepStatusSchema",
    "stepStatuses",
    "workflowPauseSchema",
    "workflowPauses",
    "workflowRunChangesSchema",
    "workflowRunSchema",
    "workflowRuns",
    "workflowRunsRelations",
    "workflowState",
    "workflowStateRelations",
    "workflowStateSchema",
  ],
  "./relations": ["createWorkflowRelationsPart", "workflowRelations"],
  "./client": ["createClient", "createReader", "isLocalClient"],
  "./migrations": [
    "checkMigrations",
    "doctor",
    "migrate",
    "migrationStatus",
    "migrationsFolder",
    "migrationsTable",
    "recordMigrationHashes",
  ],
  "./metrics": ["observeQueues"],
  "./retention": ["applyRetention", "scheduleRetention"],
  "./transfer": [
    "MirroredStore",
    "compareStores",
    "copyStore",
    "describeDifference",
    "exportFile",
    "exportStore",
    "importFile",
    "importStore",
  ],
  "./reports": [
    "durationsOverTime",
    "errorCodes",
    "oldestPending",
    "queueDepth",
    "queueLatency",
    "reliabilityOverTime",
    "runDurations",
    "slowestSteps",
    "stepDurations",
    "stepErrorCodes",
    "stepFunnel",
    "stepReliability",
    "storage",
    "stuckRuns",
    "throughput",
    "workers",
    "workflowVersions",
  ],
  "./studio": ["createStudio"],
  "./testing": ["TestClock", "describeWorkflowStore"],
};

const packageFile = JSON.parse(await readFile("package.json", "utf8")) as {
  exports: Record<string, { default: string } | string>;
};

test("every entry of the package is listed here", () => {
  const declared = Object.keys(packageFile.exports).filter((entry) => entry !== "./package.json");
  expect(declared.toSorted()).toEqual(Object.keys(entries).toSorted());
});

test("./relations says that it is for Drizzle 1.0", async () => {
  await expect(import("../../src/relations/index.ts")).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("it is for Drizzle 1.0"),
  });
});

test.each(Object.entries(entries).filter(([entry]) => entry !== "./relations"))(
  "%s exports what it promises, and nothing else",
  async (entry, names) => {
    const target = packageFile.exports[entry];
    const path = typeof target === "object" ? target.default : "";
    const source = path.replace("./dist/", "../../src/").replace(/\.js$/, ".ts");
    const module = (await import(source)) as object;
    expect(Object.keys(module).toSorted()).toEqual(names.toSorted());
  },
);
