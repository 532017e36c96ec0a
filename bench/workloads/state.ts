import { Database } from "../libsql.ts";
import { measure } from "../measure.ts";
import { measurementHeader, measurementRows, expectRows, type Section } from "../section.ts";
import { newFile, openOurs } from "../subjects.ts";
import { LibSQLStore } from "../../dist/index.js";

const keys = 1000;

/** The floor: prepared statements of the binding on the same table, with the same pragmas. */
async function openFloorState(durability: "full") {
  const path = newFile("floor-state");
  const store = await LibSQLStore.open(`file:${path}`);
  await store.createRun({ runId: "run", workflowId: "bench" });
  await store.close();
  const database = new Database(path);
  database.exec(
    `pragma journal_mode = wal; pragma synchronous = ${durability}; pragma foreign_keys = on`,
  );
  const upsert = database.prepare(
    `insert into workflow_state (run_id, key, value, revision, updated_at) values ('run', ?, ?, 1, ?)
     on conflict do update set value = excluded.value, revision = revision + 1, updated_at = excluded.updated_at`,
  );
  const select = database
    .prepare("select value from workflow_state where run_id = 'run' and key = ?")
    .raw(true);
  return {
    set: (key: string, value: unknown) => upsert.run([key, JSON.stringify(value), Date.now()]),
    get: (key: string) => JSON.parse((select.get([key]) as [string])[0]) as unknown,
    close: () => database.close(),
  };
}

const hot = () => "hot";

export async function run(): Promise<Section> {
  const floor = await openFloorState("full");
  const ours = await openOurs("full");
  await ours.store.createRun({ runId: "run", workflowId: "bench" });
  const subjects = [
    { name: "floor", set: floor.set, get: floor.get },
    {
      name: "gorkflow",
      set: (key: string, value: unknown) => ours.store.saveState("run", key, value),
      get: (key: string) => ours.store.loadState("run", key),
    },
  ];
  const scattered = (call: number) => `key-${(call * 7919) % keys}`;
  const works = (keyOf: (call: number) => string, operation: "set" | "get", calls: number) =>
    subjects.map((subject) => ({
      subject: subject.name,
      calls,
      run: (call: number) =>
        operation === "set" ? subject.set(keyOf(call), { call }) : subject.get(keyOf(call)),
    }));
  const setHot = await measure(works(hot, "set", 300));
  const getHot = await measure(works(hot, "get", 3000));
  const setMany = await measure(works(scattered, "set", keys));
  const getMany = await measure(works(scattered, "get", 3000));
  const hundred = await measure(
    subjects.map(({ name, set }) => ({
      subject: name,
      size: 100,
      calls: 10,
      run: (call: number) =>
        Promise.all(Array.from({ length: 100 }, async (_, index) => set(`key-${index}`, { call }))),
    })),
  );
  expectRows("state", Object.keys(await ours.store.getAllState("run")).length, keys + 1);
  floor.close();
  await ours.close();
  return {
    title: "State",
    how: `Values under one key, and under ${keys} keys; durability full. ${keys + 1} keys were found at the end.`,
    header: measurementHeader,
    rows: [
      ...measurementRows("set one key", setHot),
      ...measurementRows("get one key", getHot),
      ...measurementRows(`set ${keys} keys`, setMany),
      ...measurementRows(`get ${keys} keys`, getMany),
      ...measurementRows("set 100 at once", hundred),
    ],
    targets: [],
  };
}
