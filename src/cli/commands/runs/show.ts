import { Command } from "commander";
import { RunNotFoundError } from "../../../errors.ts";
import type { RunBundle } from "../../../model/bundles.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import {
  databaseOption,
  jsonOption,
  prefixOption,
  type JsonOptions,
  type TableOptions,
} from "../../options.ts";
import { colors, print, printJson, table } from "../../output.ts";
import { paintStatus } from "../../statuses.ts";
import { drawTimeline } from "../../timeline.ts";
import { formatShare, formatTime, orAbsent } from "../../words.ts";

interface ShowOptions extends TableOptions, JsonOptions {
  readonly payloads?: true;
}

export function showCommand(context: CommandContext): Command {
  return new Command("show")
    .description("show a run with a timeline of its steps")
    .argument("<run>", "id of the run")
    .addOption(databaseOption())
    .addOption(prefixOption())
    .option("--payloads", "also input, output, context, outputs of steps and state")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  gorkflow runs show 0198c0de-0000-7000-8000-000000000000
  gorkflow runs show 0198c0de-0000-7000-8000-000000000000 --payloads --json | jq .run.input`,
    )
    .action(async (runId: string, options: ShowOptions) => {
      const bundle = await withStore(context, options, async (store) => {
        const { bundles, corrupt } = await store.readBundles({
          runIds: [runId],
          signal: context.signal,
        });
        for (const error of corrupt) throw error;
        const [found] = bundles;
        if (found === undefined) throw new RunNotFoundError({ runId });
        return found;
      });
      const shown = options.payloads ? bundle : withoutPayloads(bundle);
      if (options.json) printJson(shown);
      else print(describe(bundle, options.payloads === true));
    });
}

/** What tells how a run went, and nothing of what went through it. */
function withoutPayloads({ run, steps, attempts }: RunBundle): object {
  const { input: _, output: _output, context: _context, ...summary } = run;
  return { run: summary, steps: steps.map(({ input: _input, ...step }) => step), attempts };
}

function describe({ run, steps, outputs, state }: RunBundle, payloads: boolean): string {
  const tags = Object.entries(run.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const facts = [
    ["workflow", `${run.workflowId} (version ${run.workflowVersion})`],
    ["status", `${paintStatus(run.status)}, ${formatShare(run.progress)}`],
    ["attempt", String(run.attempt)],
    ["worker", orAbsent(run.workerId)],
    ["resource", orAbsent(run.resourceId)],
    ["tags", tags.join(" ") || orAbsent(null)],
    ["created", formatTime(run.createdAt)],
    ["started", formatTime(run.startedAt)],
    ["completed", formatTime(run.completedAt)],
    ...(run.wakeAt === null ? [] : [["sleeps until", formatTime(run.wakeAt)]]),
    ...(run.deadlineAt === null ? [] : [["deadline", formatTime(run.deadlineAt)]]),
  ];
  const failed = steps.filter(({ error }) => error !== null);
  return [
    table(["run", run.runId], facts),
    steps.length === 0 ? "no step has begun" : drawTimeline(steps, new Date()),
    ...(run.error === null ? [] : [`${colors.red("error")} ${asText(run.error)}`]),
    ...failed.map(({ stepId, error }) => `${colors.red(`error of ${stepId}`)} ${asText(error)}`),
    ...(payloads
      ? [
          `input ${asText(run.input)}`,
          `output ${asText(run.output)}`,
          `context ${asText(run.context)}`,
          ...outputs.map(({ stepId, output }) => `output of ${stepId} ${asText(output)}`),
          ...state.map(({ key, value }) => `state ${key} ${asText(value)}`),
        ]
      : []),
  ].join("\n\n");
}

function asText(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
