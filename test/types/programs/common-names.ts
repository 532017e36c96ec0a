// An app with the names that apps use most. `test/types/hovers.long.test.ts` hovers over each name marked with ▸.
import { z } from "zod";
import {
  /*▸*/ defineStep,
  /*▸*/ defineWorkflow,
  /*▸*/ Engine,
  /*▸*/ LibSQLStore,
  /*▸*/ MemoryStore,
  /*▸*/ openStore,
} from "gorkflow";
import { /*▸*/ createClient } from "gorkflow/client";
import { /*▸*/ migrate } from "gorkflow/migrations";
import { /*▸*/ createWorkflowTables, /*▸*/ workflowRuns } from "gorkflow/schema";

const order = z.object({ orderId: z.string(), cents: z.int() });

const charge = defineStep({
  id: "charge",
  input: order,
  output: z.object({ receipt: z.string() }),
  run: async ({ orderId }, /*▸*/ ctx) => {
    await ctx /*▸*/.state
      .set("order", orderId);
    return { receipt: orderId };
  },
});
const ship = defineStep({
  id: "ship",
  input: z.object({ receipt: z.string() }),
  output: z.string(),
  run: ({ receipt }) => receipt,
});

export const /*▸*/ fulfilment = defineWorkflow({ id: "fulfil" })
    /*▸*/ .step(charge)
    .step(ship)
    .build();

export async function main(url: string) {
  const store = await LibSQLStore
    /*▸*/ .open(url);
  const engine = new Engine(store);
  const /*▸*/ runId = await engine
      /*▸*/ .start(fulfilment, { orderId: "a", cents: 1 });
  const /*▸*/ finished = await engine
      /*▸*/ .wait(runId);
  const { /*▸*/ output } = await engine
    /*▸*/ .run(fulfilment, { orderId: "a", cents: 1 });
  const { /*▸*/ runs } = await store
    /*▸*/ .listRuns({ status: "FAILED" });
  const run = await store
    /*▸*/ .getRun(runId);
  await migrate(createClient({ url }));
  const tables = createWorkflowTables({ prefix: "app_" });
  return { finished, output, run, runs, tables, workflowRuns, openStore, MemoryStore };
}
