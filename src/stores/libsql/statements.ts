import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { createAttemptStatements } from "./attempt-statements.ts";
import { createBundleStatements } from "./bundle-statements.ts";
import { createChildReaders } from "./child-statements.ts";
import { createClaimStatements } from "./claim-statements.ts";
import { createGuardStatements } from "./guard-statements.ts";
import { createListStatements } from "./list-statements.ts";
import { createMaintenanceStatements } from "./maintenance-statements.ts";
import { createOutputStatements } from "./output-statements.ts";
import { createRunStatements } from "./run-statements.ts";
import { createStateStatements } from "./state-statements.ts";
import type { Database } from "./statement.ts";
import { createStepStatements } from "./step-statements.ts";

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
