// Works on a database: its step ends the process. Arguments: URL, lease in ms.
import { z } from "zod";
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "../../../src/index.ts";

const [url = "", leaseMs] = process.argv.slice(2);

const engine = new Engine(await LibSQLStore.open(url), { leaseMs: Number(leaseMs) });
const kill = defineStep({
  id: "kill",
  input: z.null(),
  output: z.null(),
  run: () => process.abort(),
});
engine.register(defineWorkflow({ id: "w", maxLostLeases: 3 }).step(kill).build());
const finished = engine.on("run.finished", ({ status }) => {
  process.send?.({ finished: status });
  finished();
});
process.send?.({ working: true });
await engine.work();
