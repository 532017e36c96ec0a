import { Database } from "../libsql.ts";
import { measure } from "../measure.ts";
import { measurementHeader, measurementRows, type Section } from "../section.ts";
import { newFile, openOurs, payload } from "../subjects.ts";
import { LibSQLStore } from "../../dist/index.js";

export async function run(): Promise<Section> {
  const { path, create, close } = await openOurs("full");
  for (let index = 0; index < 100; index++) await create(`run-${index}`, payload(100));
  await close();
  const measured = await measure([
    {
      subject: "the binding, with its pragmas, and one row",
      calls: 20,
      run: () => {
        const database = new Database(path);
        database.exec("pragma synchronous = full; pragma foreign_keys = on");
        database.prepare("select * from workflow_runs where run_id = ?").get(["run-1"]);
        database.close();
      },
    },
    {
      subject: "open, get, close",
      calls: 20,
      run: async () => {
        const store = await LibSQLStore.open(`file:${path}`);
        await store.getRun("run-1");
        await store.close();
      },
    },
    {
      subject: "open a new file, migrate, close",
      calls: 5,
      run: async () => {
        const store = await LibSQLStore.open(`file:${newFile("new")}`);
        await store.close();
      },
    },
  ]);
  return {
    title: "Opening",
    how: "In a process that has loaded the package; the file has 100 runs; durability full.",
    header: measurementHeader,
    rows: measurementRows("", measured),
    targets: [],
  };
}
