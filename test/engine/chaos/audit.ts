import { sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { DrizzleTransaction } from "../../../src/engine/definition/step-definition.ts";
import { workflowRuns } from "../../../src/schema/tables.ts";
import type { WorkflowDatabase } from "../../../src/stores/libsql/libsql-store.ts";

/**
 * A table of the app that orders all events: a trigger records changes of a run's holder, and transactions of steps record
 * their effects. No constraint forbids a repeated effect.
 */
const audit = sqliteTable("audit", {
  position: integer("position").primaryKey({ autoIncrement: true }),
  kind: text("kind", { enum: ["holder", "effect"] }).notNull(),
  runId: text("run_id").notNull(),
  /** The new holder of the run, or the author of the effect. */
  workerId: text("worker_id"),
  runAttempt: integer("run_attempt").notNull(),
  /** Set for a change of the holder. */
  previousWorkerId: text("previous_worker_id"),
  previousLeaseExpiresAt: integer("previous_lease_expires_at"),
  changedAt: integer("changed_at"),
  status: text("status"),
  /** Set for an effect; `holderId` is the holder at that time. */
  stepId: text("step_id"),
  holderId: text("holder_id"),
});

export type AuditRow = typeof audit.$inferSelect;

export async function createAudit(db: WorkflowDatabase): Promise<void> {
  await db.run(sql`create table audit (
    position integer primary key autoincrement, kind text not null, run_id text not null, worker_id text,
    run_attempt integer not null, previous_worker_id text, previous_lease_expires_at integer, changed_at integer,
    status text, step_id text, holder_id text)`);
  await db.run(sql`create trigger audit_holders after update on workflow_runs
    when old.worker_id is not new.worker_id or old.attempt <> new.attempt or old.status <> new.status
    begin
      insert into audit (kind, run_id, worker_id, run_attempt, previous_worker_id, previous_lease_expires_at,
        changed_at, status)
      values ('holder', new.run_id, new.worker_id, new.attempt, old.worker_id, old.lease_expires_at,
        new.updated_at, new.status);
    end`);
}

export async function writeEffect(
  tx: DrizzleTransaction,
  effect: { readonly runId: string; readonly stepId: string; readonly workerId: string },
): Promise<void> {
  const { runId, stepId, workerId } = effect;
  await tx.run(sql`insert into audit (kind, run_id, worker_id, run_attempt, step_id, holder_id)
    select 'effect', ${runId}, ${workerId}, attempt, ${stepId}, worker_id from ${workflowRuns}
    where run_id = ${runId}`);
}

export function readAudit(db: WorkflowDatabase): Promise<AuditRow[]> {
  return db.select().from(audit).orderBy(audit.position);
}

/** The number of rows so far. */
export function countAudit(db: WorkflowDatabase): Promise<number> {
  return db.$count(audit);
}

/**
 * The faults in the history of one run. A run changes its holder only after the lease has expired, only the holder has
 * effects, each step has one, and the run ends once.
 */
export function findFaults(rows: readonly AuditRow[], stepIds: readonly string[]): string[] {
  const faults: string[] = [];
  const effects: string[] = [];
  let holder: string | null = null;
  let attempt = 0;
  let ended = false;
  for (const row of rows) {
    const say = (what: string): void => void faults.push(`${row.position}: ${what}`);
    if (ended) say(`${row.kind} after the end`);
    if (row.kind === "effect") {
      effects.push(row.stepId ?? "");
      if (row.workerId !== holder || row.holderId !== holder) {
        say(
          `effect of ${row.workerId}, while ${row.holderId} holds the run, and ${holder} claimed it`,
        );
      }
      if (row.runAttempt !== attempt) say(`effect in claim ${row.runAttempt} of ${attempt}`);
      continue;
    }
    if (row.previousWorkerId !== holder) say(`${row.previousWorkerId} held what ${holder} had`);
    const isTaken = holder !== null && row.status === "RUNNING" && row.runAttempt > attempt;
    if (isTaken && (row.previousLeaseExpiresAt ?? Infinity) > (row.changedAt ?? 0)) {
      say(`${row.workerId} took a run that ${holder} held until later`);
    }
    holder = row.workerId;
    attempt = row.runAttempt;
    ended = row.status === "COMPLETED";
  }
  if (!ended) faults.push("it has not ended");
  if (effects.toSorted().join() !== stepIds.toSorted().join()) {
    faults.push(`effects: ${effects.join(", ")}`);
  }
  return faults;
}
