import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Database } from "../libsql.ts";
import { LibSQLStore } from "../../dist/index.js";
import { expectRows, rounded, type Section } from "../section.ts";
import { newFile } from "../subjects.ts";

const seconds = 10;
const program = fileURLToPath(new URL("../programs/writer.ts", import.meta.url));

/** How many runs a process of its own had acknowledged. */
function write(subject: string, path: string, writers: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [
        "--no-warnings",
        "--import",
        "tsx",
        program,
        subject,
        path,
        String(writers),
        String(seconds),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let output = "";
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Number(output));
      else reject(new Error(`a writer ended with ${code}`));
    });
  });
}

export async function run(): Promise<Section> {
  const rows: string[][] = [];
  for (const processes of [2, 4]) {
    for (const { subject, writers } of [
      { subject: "floor", writers: 1 },
      { subject: "gorkflow", writers: 1 },
      { subject: "gorkflow", writers: 50 },
    ]) {
      const path = newFile("processes");
      await (await LibSQLStore.open(`file:${path}`)).close();
      const acknowledged = await Promise.all(
        Array.from({ length: processes }, () => write(subject, path, writers)),
      );
      const total = acknowledged.reduce((sum, count) => sum + count, 0);
      const database = new Database(path);
      const [found] = database.prepare("select count(*) from workflow_runs").raw(true).get() as [
        number,
      ];
      database.close();
      expectRows(subject, found, total);
      rows.push([
        subject,
        String(processes),
        String(writers),
        rounded(total / seconds),
        acknowledged.toSorted((a, b) => a - b).join(", "),
        String(found),
      ]);
    }
  }
  return {
    title: "Several processes on one file",
    how: `Each creates runs of 100 B for ${seconds} s, durability full; the floor waits for locks in the binding (busy_timeout). What was acknowledged was found.`,
    header: [
      "subject",
      "processes",
      "at once in each",
      "runs a second",
      "each process",
      "rows found",
    ],
    rows,
    targets: [],
  };
}
