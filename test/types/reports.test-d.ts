import { eq } from "drizzle-orm";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { expectTypeOf } from "vitest";
import {
  oldestPending,
  runDurations,
  slowestSteps,
  throughput,
  type ErrorCodesRow,
  type RunDurationsRow,
  type ThroughputRow,
} from "../../src/reports/index.ts";
import { createWorkflowTables } from "../../src/schema/tables.ts";
import type { StepStatus } from "../../src/statuses.ts";

declare const db: BaseSQLiteDatabase<"async", unknown, { readonly some: unknown }>;
declare const synchronous: BaseSQLiteDatabase<"sync", void>;

interface Durations {
  workflowId: string;
  runs: number;
  p50Ms: number;
  p90Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

expectTypeOf(await runDurations(db)).toEqualTypeOf<Durations[]>();
expectTypeOf<RunDurationsRow>().toEqualTypeOf<Durations>();
expectTypeOf(await throughput(db)).toEqualTypeOf<ThroughputRow[]>();
expectTypeOf<ErrorCodesRow["code"]>().toEqualTypeOf<string | null>();
expectTypeOf(runDurations(synchronous).all()).toEqualTypeOf<Durations[]>();
expectTypeOf(runDurations(synchronous).get()).toEqualTypeOf<Durations | undefined>();
expectTypeOf((await throughput(db))[0]!.bucketStart).toEqualTypeOf<Date>();
expectTypeOf((await slowestSteps(db))[0]!.status).toEqualTypeOf<StepStatus>();
expectTypeOf((await oldestPending(db))[0]!.resourceId).toEqualTypeOf<string | null>();

// What goes on from it keeps the types.
const page = runDurations(db)
  .where((row) => eq(row.workflowId, "w"))
  .orderBy((row) => row.p95Ms)
  .limit(10)
  .offset(20);
expectTypeOf(await page).toEqualTypeOf<Durations[]>();

const teams = sqliteTable("teams", { workflowId: text("workflow_id"), runs: integer("runs") });
const durations = runDurations(db).as("durations");
const joined = db
  .select()
  .from(teams)
  .leftJoin(durations, eq(durations.workflowId, teams.workflowId));
expectTypeOf(await joined).toEqualTypeOf<
  { teams: { workflowId: string | null; runs: number | null }; durations: Durations | null }[]
>();
expectTypeOf(
  await db
    .select({ team: teams.runs, p95: durations.p95Ms })
    .from(teams)
    .innerJoin(durations, eq(durations.workflowId, teams.workflowId)),
).toEqualTypeOf<{ team: number | null; p95: number }[]>();

runDurations(db, { tables: createWorkflowTables({ prefix: "app_" }) });
// @ts-expect-error a bucket is an hour, a day, a week or a month
throughput(db, { per: "year" });
// @ts-expect-error a run is never skipped
runDurations(db, { status: "SKIPPED" });
// @ts-expect-error there is no such column
runDurations(db).where((row) => eq(row.workflow, "w"));
