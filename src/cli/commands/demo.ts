import { Command } from "commander";
import { Engine } from "../../engine/engine.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { parcelOf, sendParcel } from "../demo-workflow.ts";
import { parseLimit } from "../output/numbers.ts";
import { type DatabaseOptions, type JsonOptions, shared } from "../options.ts";
import { colors, escaped, print, printJson, table } from "../output/output.ts";
import { withProgress } from "../output/progress.ts";
import { formatCount } from "../output/words.ts";

interface DemoOptions extends DatabaseOptions, JsonOptions {
  readonly runs: number;
}

export function demoCommand(context: CommandContext): Command {
  return new Command("demo")
    .option("-d, --database <url>", "the database for the runs", "file:./gorkflow-demo.db")
    .option("--runs <number>", "the number of runs", parseLimit, 200)
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
The workflow weighs, labels, declares and sends parcels. Some steps fail and are retried. GORKFLOW_DATABASE_URL is not
used, so that the demo does not mix with your runs. Interrupt the demo and start it again: it continues, and no step
runs twice.

Examples:
  gorkflow demo
  gorkflow demo --runs 1000 --database file:./other.db`,
    )
    .action(async (options: DemoOptions) => {
      const counts = await withStore(
        context,
        options,
        async (store) => {
          const engine = new Engine(store, { concurrency: 20 });
          engine.register(sendParcel);
          try {
            const runIds = await Promise.all(
              Array.from({ length: options.runs }, (_, index) =>
                // The key makes a second start of a parcel find the run of the first.
                engine.start(sendParcel, parcelOf(index + 1), {
                  idempotencyKey: `parcel-${index + 1}`,
                  tags: { country: parcelOf(index + 1).country },
                }),
              ),
            );
            let done = 0;
            await withProgress({ total: runIds.length, options }, (update) =>
              Promise.all(
                runIds.map(async (runId) => {
                  await engine.wait(runId, { signal: context.signal });
                  update(++done);
                }),
              ),
            );
          } finally {
            await engine.close();
          }
          return store.countRuns({ workflowId: sendParcel.id });
        },
        { access: "create" },
      );
      if (options.json) return printJson({ database: options.database, runs: counts });
      print(
        table(
          ["runs", ""],
          Object.entries(counts).map(([status, count]) => [status, formatCount(count)]),
        ),
      );
      print(nextCommands(escaped(options.database ?? "")));
    });
}

function nextCommands(database: string): string {
  const examples = [
    `runs list --status FAILED`,
    `runs show <run>`,
    `report reliability`,
    `report throughput --per hour`,
    `stats`,
  ];
  return [
    "",
    `They are in ${database}. ${colors.bold("Look at them:")}`,
    ...examples.map((example) => `  gorkflow ${example} --database ${database}`),
  ].join("\n");
}
