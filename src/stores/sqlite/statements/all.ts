import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { createAttemptStatements } from "./attempts.ts";
import { createBundleStatements } from "./bundles.ts";
import { createChildReaders } from "./children.ts";
import { createClaimStatements } from "./claims.ts";
import { createGuardStatements } from "./guards.ts";
import { createListStatements } from "./lists.ts";
import { createMaintenanceStatements } from "./maintenance.ts";
import { createOutputStatements } from "./outputs.ts";
import { createRunStatements } from "./runs.ts";
import { createStateStatements } from "./state.ts";
import type { Database } from "./statement.ts";
import { createStepStatements } from "./steps.ts";

/** Every statement of a store, compiled when it is first used. */
export function createStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  return {
    runs: createRunStatements(db, tables, codecs),
    lists: createListStatements(db, tables, codecs),
    claims: createClaimStatements(db, tables, codecs),
    steps: createStepStatements(db, tables, codecs),
    attempts: createAttemptStatements(db, tables, codecs),
    outputs: createOutputStatements(db, tables, codecs),
    state: createStateStatements(db, tables, codecs),
    guards: createGuardStatements(db, tables),
    bundles: createBundleStatements(db, tables, codecs),
    children: createChildReaders(db, tables, codecs),
    maintenance: createMaintenanceStatements(db, tables),
  };
}

export type Statements = ReturnType<typeof createStatements>;
