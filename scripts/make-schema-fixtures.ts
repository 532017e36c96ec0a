// npx tsx scripts/make-schema-fixtures.ts
//
// Creates a small database for each schema version that has none; a test upgrades them. Existing ones are not changed.
// `npm run db:generate` runs this.
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createClient, type Client } from "@libsql/client";
import { compiledMigrations } from "../src/migrations/compiled.ts";
import { applyMigrations } from "../src/migrations/migrate.ts";

const folder = new URL("../test/fixtures/schemas/", import.meta.url);

const runs = 4;
const statuses = ["COMPLETED", "RUNNING", "FAILED", "PENDING"];
const json = [
  '{"text":"ünïcödé 🐘 \\"quoted\\" \\u0000","list":[1,-2.5,1e21,true,null],"deep":{"__proto__":{"a":{}}}}',
  "null",
  '""',
  JSON.stringify({ long: "0123456789".repeat(300) }),
];
const jsonColumns = new Set(["input", "output", "error", "context", "value"]);

mkdirSync(folder, { recursive: true });
for (const [index, { tag }] of compiledMigrations.entries()) {
  const file = new URL(`${tag}.db`, folder);
  if (existsSync(file)) continue;
  const client = createClient({ url: `file:${fileURLToPath(file)}` });
  // Small pages make a small file, because there are more tables and indexes than rows.
  await client.execute("pragma page_size = 1024");
  await applyMigrations(client, compiledMigrations.slice(0, index + 1));
  await fill(client);
  await client.execute("vacuum");
  client.close();
  console.log(`made ${tag}.db`);
}

/** Writes rows into each of our tables, with the columns that the table has in this version. */
async function fill(client: Client): Promise<void> {
  const tables = await client.execute(
    // Runs come first, because the other rows refer to them.
    "select name from sqlite_schema where type = 'table' and (name like 'workflow%' or name like 'step%') " +
      "order by name <> 'workflow_runs', name",
  );
  for (const row of tables.rows) {
    const name = row["name"] as string;
    const columns = await readColumns(client, name);
    const rowsPerRun = ["workflow_runs", "workflow_pauses"].includes(name) ? 1 : 3;
    // A test claims the runs, so their workflows are not paused.
    const first = name === "workflow_pauses" ? 100 : 0;
    for (let number = first; number < first + runs * rowsPerRun; number++) {
      const values = columns.map((column) => valueOf(column, number, rowsPerRun));
      await client.execute({
        sql: `insert into ${name} (${columns.map((column) => column.name).join(", ")})
              values (${columns.map(() => "?").join(", ")})`,
        args: values,
      });
    }
  }
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
}

async function readColumns(client: Client, table: string): Promise<Column[]> {
  const { rows } = await client.execute(
    `select name, type, "notnull" from pragma_table_info('${table}')`,
  );
  return rows.map(({ name, type, notnull }) => ({
    name: name as string,
    type: (type as string).toLowerCase(),
    optional: notnull === 0,
  }));
}

/** Returns the same value for the same arguments, so that a fixture can be made again. */
function valueOf({ name, type, optional }: Column, number: number, rowsPerRun: number) {
  const run = Math.floor(number / rowsPerRun);
  if (name === "run_id" || name === "workflow_id") return `${name.slice(0, -3)}-${run}`;
  if (name === "step_id" || name === "key") return `${name}-${number % rowsPerRun}`;
  if (name === "status") return statuses[run] ?? "PENDING";
  // Every nullable column is null in some row.
  if (optional && (number + name.length) % 3 === 0) return null;
  if (name === "tags") return JSON.stringify({ customer: `c${run}`, "ü key": "" });
  if (name === "input_from") return number % 2 === 0 ? '"step_id-0"' : '["step_id-0","step_id-2"]';
  if (jsonColumns.has(name)) return json[number % json.length] ?? "null";
  if (name.endsWith("_at")) return 1_700_000_000_000 + run * 1000 + name.length;
  if (type === "real") return 0.25;
  if (type === "integer") return number + 1;
  return `${name}-${number}`;
}
