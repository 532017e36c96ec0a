import { measure, type Work } from "../measure.ts";
import {
  expectRows,
  measurementHeader,
  measurementRows,
  rateAgainst,
  timeAgainst,
  type Section,
} from "../section.ts";
import {
  openDrizzle,
  openFloor,
  openMastra,
  openOpenWorkflow,
  openOurs,
  payload,
  type RunSubject,
} from "../subjects.ts";

const sizes = [
  { label: "100 B", bytes: 100, calls: 1000, concurrentCalls: 50 },
  { label: "10 KB", bytes: 10_000, calls: 200, concurrentCalls: 10 },
  { label: "1 MB", bytes: 1_000_000, calls: 5, concurrentCalls: 0 },
];

/** Counts what a subject acknowledged, and gives every run an id of its own. */
function counted(subject: RunSubject) {
  let created = 0;
  return {
    name: subject.name,
    create(input: unknown) {
      created += 1;
      return subject.create(`run-${String(created).padStart(9, "0")}`, input);
    },
    async end() {
      expectRows(subject.name, await subject.rows(), created);
      await subject.close();
      return created;
    },
  };
}

type Counted = ReturnType<typeof counted>;

const sequential = (subjects: readonly Counted[], bytes: number, calls: number): Work[] =>
  subjects.map(({ name, create }) => ({
    subject: name,
    calls,
    run: () => create(payload(bytes)),
  }));

const concurrent = (subjects: readonly Counted[], bytes: number, calls: number): Work[] =>
  subjects.map(({ name, create }) => ({
    subject: name,
    size: 100,
    calls,
    run: () => Promise.all(Array.from({ length: 100 }, () => create(payload(bytes)))),
  }));

export async function run(): Promise<Section> {
  const full = [
    counted(await openFloor("full")),
    counted(await openOurs("full")),
    counted(await openDrizzle("full")),
    counted(await openOpenWorkflow()),
  ];
  const normal = [counted(await openMastra()), counted(await openOurs("normal"))];
  const rows: (readonly string[])[] = [];
  const targets: Section["targets"][number][] = [];
  for (const { label, bytes, calls, concurrentCalls } of sizes) {
    const one = await measure(sequential(full, bytes, calls));
    rows.push(...measurementRows(`${label}, one after the other, full`, one));
    const oneNormal = await measure(sequential(normal, bytes, calls));
    rows.push(...measurementRows(`${label}, one after the other, normal`, oneNormal));
    if (concurrentCalls === 0) continue;
    const many = await measure(concurrent(full, bytes, concurrentCalls));
    rows.push(...measurementRows(`${label}, 100 at once, full`, many));
    const manyNormal = await measure(concurrent(normal, bytes, concurrentCalls));
    rows.push(...measurementRows(`${label}, 100 at once, normal`, manyNormal));
    if (bytes !== 100) continue;
    targets.push(
      timeAgainst(
        "createRun, one after the other, against the floor's insert in autocommit",
        1.5,
        one,
        "floor",
      ),
      rateAgainst(
        "100 createRun at once, durability full, against the same floor",
        8,
        many,
        "floor",
      ),
      rateAgainst("create against openworkflow", 1.3, one, "openworkflow"),
      rateAgainst("save against Mastra's storage, one after the other", 1, oneNormal, "mastra"),
      rateAgainst("save against Mastra's storage, 100 at once", 5, manyNormal, "mastra"),
    );
  }
  const created: string[] = [];
  for (const subject of [...full, ...normal]) {
    created.push(`${subject.name} ${await subject.end()}`);
  }
  return {
    title: "Create",
    how: `Runs with an input of the size given. \`full\`: WAL with \`synchronous=FULL\`; \`normal\`: WAL with \`synchronous=NORMAL\`, which is what Mastra sets. Rows acknowledged and found at the end: ${created.join(", ")}.`,
    header: measurementHeader,
    rows,
    targets,
  };
}
