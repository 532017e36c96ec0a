// Runs the workloads that are named, or all, and writes what they came to into RESULTS.md beside this file.
import { readFileSync, writeFileSync, existsSync } from "node:fs";
import { resultsText, sectionText, type Results } from "./results-text.ts";
import type { Section } from "./section.ts";

const workloads = [
  "create",
  "get",
  "list",
  "scale",
  "state",
  "lifecycle",
  "processes",
  "open",
  "memory",
  "reports",
  "studio",
];
const named = process.argv.slice(2).filter((name) => name !== "all");
const unknown = named.filter((name) => !workloads.includes(name));
if (unknown.length > 0) {
  console.error(`no such workload: ${unknown.join(", ")}; there are ${workloads.join(", ")}`);
  process.exit(2);
}

const at = (name: string) => new URL(name, import.meta.url);
const resultsFile = at("results.json");
const results: Results = existsSync(resultsFile)
  ? (JSON.parse(readFileSync(resultsFile, "utf8")) as Results)
  : {};

for (const name of named.length === 0 ? workloads : named) {
  console.error(`${name} …`);
  const { run } = (await import(`./workloads/${name}.ts`)) as { run(): Promise<Section> };
  const section = await run();
  results[name] = { ...section, measuredAt: new Date().toISOString().slice(0, 10) };
  console.log(`\n${sectionText(name, section)}`);
}
writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`);
writeFileSync(at("RESULTS.md"), resultsText(workloads, results));
