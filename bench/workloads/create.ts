import { measure, type Work } from "../measure.ts";
import { expectRows, measurementHeader, measurementRows, of, type Section } from "../section.ts";
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
      {
        what: "createRun, one after the other, against the floor's insert in autocommit",
        bound: "at most",
        value: 1.5,
        unit: "×",
        measured: of(one, "gorkflow") / of(one, "floor"),
      },
      {
        what: "100 createRun at once, durability full, against the same floor: rate",
        bound: "at least",
        value: 8,
        unit: "×",
        measured: of(many, "floor") / of(many, "gorkflow"),
      },
      {
        what: "create against openworkflow: rate",
        bound: "at least",
        value: 1.3,
        unit: "×",
        measured: of(one, "openworkflow") / of(one, "gorkflow"),
      },
      {
        what: "save against Mastra's storage, one after the other: rate",
        bound: "at least",
        value: 1,
        unit: "×",
        measured: of(oneNormal, "mastra") / of(oneNormal, "gorkflow"),
      },
      {
        what: "save against Mastra's storage, 100 at once: rate",
        bound: "at least",
        value: 5,
        unit: "×",
        measured: of(manyNormal, "mastra") / of(manyNormal, "gorkflow"),
      },
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
