import { gzipSync } from "node:zlib";
import { LibSQLStore } from "../../dist/index.js";
import { createStudio, type Studio } from "../../dist/studio/index.js";
import { historyEnd, makeHistory } from "../history.ts";
import { expectRows, rounded, type Section, type Target } from "../section.ts";
import { newFile } from "../subjects.ts";

const runs = 1_000_000;
const rounds = 5;
/** Answers are shared for a second. */
const unsharedMs = 1100;
/** The runs of the last two days have not started. */
const lastMs = String(Date.now() - historyEnd + 3 * 24 * 3_600_000);

/** The requests of the pages, as the browser sends them at once. */
const pages = (runId: string) => ({
  "the overview": [
    "counts",
    `report?name=throughput&lastMs=${lastMs}&per=hour&zone=Europe/Berlin`,
    "report?name=queue",
    "report?name=workers",
    "report?name=stuck&limit=20",
    `report?name=slowest&lastMs=${lastMs}&limit=8`,
    `report?name=reliability&lastMs=${lastMs}`,
  ],
  "the list of runs": ["runs"],
  "the list of failed runs": ["runs?status=FAILED"],
  "a run": [`run?id=${runId}`],
});

const limits: Readonly<Record<string, number>> = { "the overview": 300, "a run": 100 };

async function read(studio: Studio, path: string): Promise<Buffer> {
  const response = await studio.fetch(new Request(`http://localhost/${path}`));
  if (response.status !== 200) throw new Error(`${path} was answered with ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

export async function run(): Promise<Section> {
  const path = newFile("history");
  await makeHistory(path, runs);
  const url = `file:${path}`;
  const rows: string[][] = [];
  const targets: Target[] = [];
  const [store, reader] = [await LibSQLStore.open(url), await LibSQLStore.open(url)];
  const counted = Object.values(await reader.countRuns()).reduce((sum, count) => sum + count, 0);
  expectRows("runs", counted, runs);
  const { runs: failed } = await reader.listRuns({ status: ["FAILED"], limit: 1 });
  const studio = createStudio(store);
  for (const [page, requests] of Object.entries(pages(failed[0]?.runId ?? ""))) {
    const times: number[] = [];
    let bytes = 0;
    while (times.length < rounds) {
      await new Promise((resolve) => setTimeout(resolve, unsharedMs));
      const before = performance.now();
      const answers = await Promise.all(requests.map((each) => read(studio, `api/${each}`)));
      times.push(performance.now() - before);
      bytes = answers.reduce((sum, answer) => sum + answer.length, 0);
    }
    const [first = Number.NaN] = times;
    const median = times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
    rows.push([page, rounded(first), rounded(median), rounded(bytes / 1024)]);
    const value = limits[page];
    if (value === undefined) continue;
    targets.push({
      what: `${page} of a million runs`,
      bound: "at most",
      value,
      unit: "ms",
      measured: median,
    });
  }
  const files = await Promise.all(
    ["", "assets/studio.js", "assets/studio.css", "assets/icon.svg"].map((file) =>
      read(studio, file),
    ),
  );
  const weight = files.reduce((sum, file) => sum + gzipSync(file).length, 0) / 1024;
  targets.push({
    what: "the files of the page, with gzip",
    bound: "at most",
    value: 250,
    unit: "KB",
    measured: weight,
  });
  await Promise.all([store.close(), reader.close()]);
  return {
    title: "The studio",
    how: `The requests of a page at once, on a year of ${runs.toLocaleString("en")} runs of four steps: the time until all are answered, in the first of ${rounds} rounds and the median. Reports are of three days, in a time zone.`,
    header: ["page", "first, ms", "median, ms", "answers, KB"],
    rows,
    targets,
  };
}
