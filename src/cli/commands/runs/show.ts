import { Command } from "commander";
import { RunNotFoundError } from "../../../errors.ts";
import type { RunBundle } from "../../../model/bundles.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../../options.ts";
import { colors, escaped, escapedJson, print, printJson, table } from "../../output/output.ts";
import { paintStatus } from "../../output/statuses.ts";
import { drawTimeline } from "../../output/timeline.ts";
import { absent, formatDuration, formatShare, formatTime } from "../../output/words.ts";

interface ShowOptions extends TableOptions, JsonOptions {
  readonly payloads?: true;
}

export function showCommand(context: CommandContext): Command {
  return new Command("show")
    .description("show a run with a timeline of its steps")
    .argument("<run>", "id of the run")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .option("--payloads", "also print input, output, context, step outputs and state")
    .addOption(shared.json())
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

/** How the run went, without its data. */
function withoutPayloads({ run, steps, attempts }: RunBundle): object {
  const { input: _, output: _output, context: _context, ...summary } = run;
  return { run: summary, steps: steps.map(({ input: _input, ...step }) => step), attempts };
}

function describe({ run, steps, outputs, state }: RunBundle, payloads: boolean): string {
  const tags = Object.entries(run.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const now = new Date();
  const facts = [
    ["workflow", `${escaped(run.workflowId)} (version ${escaped(run.workflowVersion)})`],
    ["status", `${paintStatus(run.status)}, ${formatShare(run.progress)}`],
    ["attempt", String(run.attempt)],
    ["worker", escaped(run.workerId ?? absent)],
    ...(run.leaseExpiresAt === null ? [] : [["lease", describeLease(run.leaseExpiresAt, now)]]),
    ["resource", escaped(run.resourceId ?? absent)],
    ["tags", escaped(tags.join(" ")) || absent],
    ["created", formatTime(run.createdAt)],
    ["started", formatTime(run.startedAt)],
    ["completed", formatTime(run.completedAt)],
    ...(run.wakeAt === null ? [] : [["sleeps until", formatTime(run.wakeAt)]]),
    ...(run.deadlineAt === null ? [] : [["deadline", formatTime(run.deadlineAt)]]),
  ];
  // A run fails with the error of a step, which is printed once, with the step.
  const errors = [
    ...steps.map(({ stepId, error }) => ({ of: `error of ${escaped(stepId)}`, error })),
    { of: "error", error: run.error },
  ].map(({ of, error }) => ({ of, text: error === null ? null : escapedJson(error) }));
  const distinct = errors.filter(
    ({ text }, index) => text !== null && errors.findIndex((each) => each.text === text) === index,
  );
  return [
    table(["run", escaped(run.runId)], facts),
    steps.length === 0 ? "no step has started" : drawTimeline(steps, now),
    ...distinct.map(({ of, text }) => `${colors.red(of)} ${text}`),
    ...(payloads
      ? [
          `input ${escapedJson(run.input)}`,
          `output ${escapedJson(run.output)}`,
          `context ${escapedJson(run.context)}`,
          ...outputs.map(
            ({ stepId, output }) => `output of ${escaped(stepId)} ${escapedJson(output)}`,
          ),
          ...state.map(({ key, value }) => `state ${escaped(key)} ${escapedJson(value)}`),
        ]
      : []),
  ].join("\n\n");
}

function describeLease(expiresAt: Date, now: Date): string {
  const left = expiresAt.getTime() - now.getTime();
  const time = formatTime(expiresAt);
  return left > 0
    ? `until ${time}, in ${formatDuration(left)}`
    : `expired at ${time}, ${formatDuration(-left)} ago: the next worker claims the run`;
}
