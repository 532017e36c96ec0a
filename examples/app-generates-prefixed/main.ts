// npm run migrate && npm start
//
// Runs a workflow on prefixed tables, and queries it with typed JSON columns.
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { createClient } from "@libsql/client";
import { Engine, LibSQLStore } from "gorkflow";
import { createClient as createLocalClient } from "gorkflow/client";
import * as schema from "./schema.ts";
import { buildCommit } from "./workflow.ts";

const { ciRuns, workflowRuns, tables } = schema;
const url = process.env["DATABASE_URL"] ?? "file:./builds.db";
const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
const db = drizzle({ client, schema });
const engine = new Engine(new LibSQLStore(db, { tables }));

const commit = crypto.randomUUID();
const { runId } = await engine.run(buildCommit, { commit }, { tags: { branch: "main" } });
await db.insert(ciRuns).values({ commit, runId });

const builds = await db
  .select({ commit: ciRuns.commit, tags: workflowRuns.tags, output: workflowRuns.output })
  .from(ciRuns)
  .innerJoin(workflowRuns, eq(workflowRuns.runId, ciRuns.runId));
for (const { tags, output } of builds) {
  console.log(JSON.stringify({ branch: tags?.branch, passed: output?.passed }));
}

await engine.close();
client.close();
