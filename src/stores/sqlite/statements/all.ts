import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { createBundleStatements } from "./bundles.ts";
import { createChildReaders } from "./children.ts";
import { createClaimStatements } from "./claims.ts";
import { createGuardStatements } from "./guards.ts";
import { createListStatements } from "./lists.ts";
import { createMaintenanceStatements } from "./maintenance.ts";
import { createPauseStatements } from "./pauses.ts";
import { createRestartStatements } from "./restarts.ts";
import { createRunStatements } from "./runs.ts";
import { createStateStatements } from "./state.ts";
import type { Database } from "./statement.ts";
import { createAttemptStatements, createOutputStatements, createStepStatements } from "./steps.ts";

/** The statements of a store. Each is compiled when it is first used. */
export function createStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  return {
    runs: createRunStatements(db, tables, codecs),
    restarts: createRestartStatements(db, tables),
    lists: createListStatements(db, tables, codecs),
    claims: createClaimStatements(db, tables),
    pauses: createPauseStatements(db, tables, codecs),
    steps: createStepStatements(db, tables, codecs),
    attempts: createAttemptStatements(db, tables, codecs),
    outputs: createOutputStatements(db, tables, codecs),
    state: createStateStatements(db, tables, codecs),
    guards: createGuardStatements(db, tables, codecs),
    bundles: createBundleStatements(db, tables, codecs),
    children: createChildReaders(db, tables, codecs),
    maintenance: createMaintenanceStatements(db, tables, codecs),
  };
}

export type Statements = ReturnType<typeof createStatements>;
