import { Command } from "commander";
import { RunNotFoundError } from "../../../errors.ts";
import type { RunBundle } from "../../../model/bundles.ts";
import type {
  StepAttempt,
  StepExecutionSummary,
  WorkflowRunSummary,
} from "../../../schema/rows.ts";
import type { WorkflowStore } from "../../../store/workflow-store.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { labelsOf, type Workflow } from "../../../engine/definition/workflow-builder.ts";
import {
  definitionOf,
  definitionsOption,
  loadDefinitions,
  type DefinitionOptions,
} from "../../definitions.ts";
import { type JsonOptions, shared, type TableOptions } from "../../options.ts";
import { colors, escaped, escapedJson, print, printJson, table } from "../../output/output.ts";
import { paintStatus } from "../../output/statuses.ts";
import { drawTimeline } from "../../output/timeline.ts";
import { absent, formatDuration, formatShare, formatTime } from "../../output/words.ts";

interface ShowOptions extends TableOptions, JsonOptions, DefinitionOptions {
  readonly payloads?: true;
}

export function showCommand(context: CommandContext): Command {
  return new Command("show")
    .description("show a run with a timeline of its steps")
    .argument("<run>", "id of the run")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .option("--payloads", "also print input, output, context, step outputs and state")
    .addOption(definitionsOption())
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
--definitions adds the names and descriptions of the workflow and its steps.

Examples:
  gorkflow runs show 0198c0de-0000-7000-8000-000000000000
  gorkflow runs show 0198c0de-0000-7000-8000-000000000000 --payloads --json | jq .run.input`,
    )
    .action(async (runId: string, options: ShowOptions) => {
      const read = options.payloads ? readBundle : readOutline;
      const definitions = await loadDefinitions(options);
      const shown = await withStore(context, options, (store) =>
        read(store, runId, context.signal),
      );
      const definition = definitionOf(definitions, shown.run);
      if (options.json) printJson(shown);
      else
        print(
          isBundle(shown) ? describeWithPayloads(shown, definition) : describe(shown, definition),
        );
    });
}

/** A run without the payloads of the app. */
export interface RunOutline {
  readonly run: WorkflowRunSummary;
  readonly steps: readonly StepExecutionSummary[];
  readonly attempts: readonly StepAttempt[];
}

export async function readOutline(
  store: WorkflowStore,
  runId: string,
  signal: AbortSignal,
): Promise<RunOutline> {
  const [run, steps, attempts] = await Promise.all([
    store.getRun(runId, { payloads: false, signal }),
    store.listStepExecutions(runId, { payloads: false, signal }),
    store.listStepAttempts(runId, { signal }),
  ]);
  return { run, steps, attempts };
}

function isBundle(shown: RunOutline | RunBundle): shown is RunBundle {
  return "outputs" in shown;
}

async function readBundle(
  store: WorkflowStore,
  runId: string,
  signal: AbortSignal,
): Promise<RunBundle> {
  const { bundles, corrupt } = await store.readBundles({ runIds: [runId], signal });
  for (const error of corrupt) throw error;
  const [bundle] = bundles;
  if (bundle === undefined) throw new RunNotFoundError({ runId });
  return bundle;
}

function describeWithPayloads(bundle: RunBundle, definition: Workflow | undefined): string {
  const { run, outputs, state } = bundle;
  return [
    describe(bundle, definition),
    `input ${escapedJson(run.input)}`,
    `output ${escapedJson(run.output)}`,
    `context ${escapedJson(run.context)}`,
    ...outputs.map(({ stepId, output }) => `output of ${escaped(stepId)} ${escapedJson(output)}`),
    ...state.map(({ key, value }) => `state ${escaped(key)} ${escapedJson(value)}`),
  ].join("\n\n");
}

function describe({ run, steps }: RunOutline, definition: Workflow | undefined): string {
  const { name = null, description = null } = definition ?? {};
  const names = new Map(
    (definition ? labelsOf(definition).steps : []).flatMap((step) =>
      step.name === null ? [] : [[step.id, step.name]],
    ),
  );
  const tags = Object.entries(run.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const now = new Date();
  const facts = [
    ["workflow", `${escaped(run.workflowId)} (version ${escaped(run.workflowVersion)})`],
    ...(name === null ? [] : [["name", escaped(name)]]),
    ...(description === null ? [] : [["description", escaped(description)]]),
    ["status", `${paintStatus(run.status)}, ${formatShare(run.progress)}`],
    ["attempt", String(run.attempt)],
    ["worker", escaped(run.workerId ?? absent)],
    ...(run.claimedAt === null ? [] : [["claimed", formatTime(run.claimedAt)]]),
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
    steps.length === 0 ? "no step has started" : drawTimeline(steps, now, names),
    ...distinct.map(({ of, text }) => `${colors.red(of)} ${text}`),
  ].join("\n\n");
}

function describeLease(expiresAt: Date, now: Date): string {
  const left = expiresAt.getTime() - now.getTime();
  const time = formatTime(expiresAt);
  return left > 0
    ? `until ${time}, in ${formatDuration(left)}`
    : `expired at ${time}, ${formatDuration(-left)} ago: the next worker claims the run`;
}
