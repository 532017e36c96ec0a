import { Command } from "commander";
import type { QueueDepthRow } from "../../reports/queue-depth.ts";
import type { WorkflowPause } from "../../schema/rows.ts";
import { createWorkflowTables } from "../../schema/tables.ts";
import type { Workflow } from "../../engine/definition/workflow-builder.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import {
  definitionOf,
  definitionsOption,
  loadDefinitions,
  type DefinitionOptions,
} from "../definitions.ts";
import { type JsonOptions, shared, type TableOptions } from "../options.ts";
import { escaped, note, print, printJson, table } from "../output/output.ts";
import { runReport } from "../output/reports.ts";
import { absent, formatCount, formatDuration, formatTime } from "../output/words.ts";

export function workflowsCommand(context: CommandContext): Command {
  return new Command("workflows")
    .hook("preSubcommand", refuseUnknownCommand)
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(pauseCommand(context))
    .addCommand(resumeCommand(context));
}

/** Without it, a misspelled command would be an argument of the default one. */
function refuseUnknownCommand(command: Command): void {
  const [name] = command.args;
  if (name === undefined || name.startsWith("-")) return;
  const names = command.commands.flatMap((each) => [each.name(), ...each.aliases()]);
  if (names.includes(name)) return;
  command.error(`error: unknown command '${escaped(name)}'`, { code: "commander.unknownCommand" });
}

interface ListOptions extends TableOptions, JsonOptions, DefinitionOptions {}

function listCommand(context: CommandContext): Command {
  return new Command("list")
    .alias("ls")
    .description("list the workflows whose runs wait for workers, and those that are paused")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(definitionsOption())
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Ready runs wait for a worker, and sleeping ones for their time. With --definitions, workflows of that module are listed
even if no run of them waits.

Examples:
  gorkflow workflows
  gorkflow workflows list --definitions ./workflows.ts --json`,
    )
    .action(async (options: ListOptions) => {
      const { prefix } = options;
      const definitions = await loadDefinitions(options);
      const tables = prefix === undefined ? undefined : createWorkflowTables({ prefix });
      const lines = await withStore(context, options, async (store) => {
        const pauses = await store.listPausedWorkflows({ signal: context.signal });
        context.endAtOnce();
        const given = {
          options: { tables },
          per: "day",
          idleMs: undefined,
          limit: 10_000,
        } as const;
        const queues = await runReport("queue", store.reporting, given);
        return linesOf(queues as readonly QueueDepthRow[], pauses, definitions);
      });
      if (options.json) printJson(lines);
      else print(describe(lines, definitions.length > 0));
    });
}

type Line = Omit<QueueDepthRow, "workflowVersion"> & {
  /** Null for a paused workflow without waiting runs. */
  readonly workflowVersion: string | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly pausedAt: Date | null;
  readonly reason: string | null;
};

function linesOf(
  queues: readonly QueueDepthRow[],
  pauses: readonly WorkflowPause[],
  definitions: readonly Workflow[],
): readonly Line[] {
  const none = { ready: 0, sleeping: 0, pendingSince: null, waitingMs: null };
  const rows: Pick<Line, keyof QueueDepthRow>[] = [...queues];
  for (const { id: workflowId, version: workflowVersion } of definitions) {
    const isListed = rows.some(
      (row) => row.workflowId === workflowId && row.workflowVersion === workflowVersion,
    );
    if (!isListed) rows.push({ workflowId, workflowVersion, ...none });
  }
  for (const { workflowId } of pauses) {
    const isListed = rows.some((row) => row.workflowId === workflowId);
    if (!isListed) rows.push({ workflowId, workflowVersion: null, ...none });
  }
  return rows.map((row) => {
    const { workflowId, workflowVersion } = row;
    const version = { workflowId, workflowVersion: workflowVersion ?? "" };
    const { name = null, description = null } = definitionOf(definitions, version) ?? {};
    const pause = pauses.find((each) => each.workflowId === workflowId);
    const { pausedAt = null, reason = null } = pause ?? {};
    return Object.assign(row, { name, description, pausedAt, reason });
  });
}

function describe(lines: readonly Line[], hasDefinitions: boolean): string {
  if (lines.length === 0) return "no run waits for a worker, and no workflow is paused";
  return table(
    [
      "workflow",
      "version",
      ...(hasDefinitions ? ["name", "description"] : []),
      "ready",
      "sleeping",
      "waiting",
      "paused",
    ],
    lines.map((line) => [
      escaped(line.workflowId),
      escaped(line.workflowVersion ?? absent),
      ...(hasDefinitions
        ? [escaped(line.name ?? absent), escaped(firstLineOf(line.description ?? absent))]
        : []),
      formatCount(line.ready),
      formatCount(line.sleeping),
      formatDuration(line.waitingMs),
      line.pausedAt === null ? absent : describePause({ ...line, pausedAt: line.pausedAt }),
    ]),
  );
}

const maxDescription = 60;

function firstLineOf(text: string): string {
  const [line = ""] = text.split("\n");
  return line.length > maxDescription
    ? `${line.slice(0, maxDescription - 1).toWellFormed()}…`
    : line;
}

/** `since 2026-01-31T12:00:00Z: the bank is down` */
export function describePause({
  pausedAt,
  reason,
}: Pick<WorkflowPause, "pausedAt" | "reason">): string {
  return `since ${formatTime(pausedAt)}${reason === null ? "" : `: ${escaped(reason)}`}`;
}

interface PauseOptions extends TableOptions, JsonOptions {
  readonly reason?: string;
}

function pauseCommand(context: CommandContext): Command {
  return new Command("pause")
    .description("let no worker claim runs of a workflow, until it is resumed")
    .argument("<workflow>", "id of the workflow")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .option("--reason <text>", "why it is paused, which `gorkflow workflows` shows")
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Every worker obeys at its next claim, for all versions of the workflow. Runs that workers hold continue until they end,
or sleep for more than five seconds. Runs can still be started, and wait.

Examples:
  gorkflow workflows pause orders --reason "the bank is down"
  gorkflow workflows resume orders`,
    )
    .action(async (workflowId: string, { reason, json, ...options }: PauseOptions) => {
      const { signal } = context;
      const { changed, hasRuns } = await withStore(
        context,
        options,
        async (store) => {
          const query = { workflowId, limit: 1, payloads: false, signal } as const;
          const { runs, corrupt } = await store.listRuns(query);
          return {
            changed: await store.pauseWorkflow(workflowId, { reason, signal }),
            hasRuns: runs.length + corrupt.length > 0,
          };
        },
        { access: "change" },
      );
      if (json) return printJson({ workflowId, changed, hasRuns });
      const id = escaped(workflowId);
      print(`${id} ${changed ? "is paused" : "was already paused"}`);
      if (!hasRuns) note(`there is no run of ${id}: check the id`);
    });
}

function resumeCommand(context: CommandContext): Command {
  return new Command("resume")
    .description("let workers claim runs of a paused workflow again")
    .argument("<workflow>", "id of the workflow")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.json())
    .action(async (workflowId: string, { json, ...options }: TableOptions & JsonOptions) => {
      const { signal } = context;
      const changed = await withStore(
        context,
        options,
        (store) => store.resumeWorkflow(workflowId, { signal }),
        { access: "change" },
      );
      if (json) printJson({ workflowId, changed });
      else print(`${escaped(workflowId)} ${changed ? "is resumed" : "was not paused"}`);
    });
}
