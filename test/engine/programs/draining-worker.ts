// Works on a file until SIGTERM, then closes within a deadline, as an app does.
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "../../../src/index.ts";
import { z } from "zod";

const [url = "", deadlineMs = "10000", until = "signal"] = process.argv.slice(2);

/** When the step ends: "signal": at SIGTERM; "never": not here; "now": immediately. */
const first = defineStep({
  id: "first",
  input: z.number(),
  output: z.number(),
  run: async (value) => {
    process.send?.({ began: "first" });
    if (until === "signal") await new Promise((resolve) => process.once("SIGTERM", resolve));
    if (until === "never") await new Promise(() => {});
    return value + 1;
  },
});
const second = defineStep({
  id: "second",
  input: z.number(),
  output: z.number(),
  run: (value) => {
    process.send?.({ began: "second" });
    return value * 10;
  },
});
const workflow = defineWorkflow({ id: "w" }).step(first).step(second).build();

const store = await LibSQLStore.open(url);
const engine = new Engine(store);
engine.register(workflow);
process.once("SIGTERM", () => {
  void engine
    .close({ deadlineMs: Number(deadlineMs) })
    .then(() => store.close())
    .then(() => process.disconnect());
});
await engine.work();
