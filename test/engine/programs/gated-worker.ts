// Works on a database. Each step sends a message when it begins, and ends at an answer. Arguments: URL, worker id, lease
// in ms.
import { once } from "node:events";
import { z } from "zod";
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "../../../src/index.ts";

const [url = "", workerId = "", leaseMs] = process.argv.slice(2);

const gatedStep = <const Id extends string>(id: Id) =>
  defineStep({
    id,
    input: z.number(),
    output: z.number(),
    run: async (value) => {
      process.send?.({ began: id });
      await once(process, "message");
      return value + 1;
    },
  });

const engine = new Engine(await LibSQLStore.open(url), { workerId, leaseMs: Number(leaseMs) });
engine.register(
  defineWorkflow({ id: "gated" })
    .step(gatedStep("first"))
    .step(gatedStep("second"))
    .step(gatedStep("third"))
    .build(),
);
await engine.work();
