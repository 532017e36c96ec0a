// Works on a file until SIGTERM, and then closes as an app does: within a deadline, and nothing is lost.
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "../../../src/index.ts";
import { z } from "zod";

const [url = "", deadlineMs = "10000", until = "signal"] = process.argv.slice(2);

/** "signal": ends when the process is told to end; "never": does not end here; "now": ends at once. */
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
