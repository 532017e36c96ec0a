import { availableParallelism, totalmem } from "node:os";
import { holds, type Section, type Target } from "./section.ts";

/** What each workload came to when it was last run. */
export type Results = Record<string, Section & { readonly measuredAt: string }>;

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

function targetCells({ what, bound, value, unit, measured }: Target): string[] {
  return [what, `${bound} ${value} ${unit}`, `${measured.toPrecision(3)} ${unit}`];
}

const targetHeader = ["what", "target", "measured", "holds"];
const targetRow = (target: Target) => [...targetCells(target), holds(target) ? "yes" : "**no**"];

export function sectionText(name: string, { title, how, header, rows, targets }: Section): string {
  const parts = [`## ${title}`, `\`npm run bench -- ${name}\`. ${how}`, table(header, rows)];
  if (targets.length > 0) parts.push(table(targetHeader, targets.map(targetRow)));
  return parts.join("\n\n");
}

/** The whole page, workloads in this order. */
export function resultsText(workloads: readonly string[], results: Results): string {
  const sections = workloads.flatMap((name) => {
    const section = results[name];
    return section === undefined ? [] : [{ name, section }];
  });
  const days = [...new Set(sections.map(({ section }) => section.measuredAt))].join(", ");
  return `${[
    "# What it costs",
    `Written by \`npm ci && npm run bench\` in this folder, after \`npm ci\` in the one above. Measured on ${days} on a virtual machine with ${availableParallelism()} cores and ${Math.round(totalmem() / 2 ** 30)} GiB of memory, ${process.platform} ${process.arch}, Node ${process.version}. Times depend on the machine, and on its disk most of all; the ratios are measured in one run, in one process, in turns. The floor is a bare prepared statement of the \`libsql\` binding on our own table, with the same pragmas. Each number is the median of five rounds after a warm-up. Rows were counted at the end of each workload, which fails when one is missing.`,
    "## The targets",
    table(
      targetHeader,
      sections.flatMap(({ section }) => section.targets.map(targetRow)),
    ),
    ...sections.map(({ name, section }) => sectionText(name, section)),
  ].join("\n\n")}\n`;
}
