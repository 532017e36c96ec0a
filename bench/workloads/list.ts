import { measure } from "../measure.ts";
import {
  expectRows,
  measurementHeader,
  measurementRows,
  rateAgainst,
  type Section,
} from "../section.ts";
import {
  openDrizzle,
  openFloor,
  openMastra,
  openOpenWorkflow,
  openOurs,
  payload,
} from "../subjects.ts";

const runs = 2000;

export async function run(): Promise<Section> {
  const subjects = [
    await openFloor("normal"),
    await openOurs("normal"),
    await openDrizzle("normal"),
    await openOpenWorkflow(),
    await openMastra(),
  ];
  for (const subject of subjects) {
    for (let index = 0; index < runs; index++) await subject.create(`run-${index}`, payload(500));
  }
  const listed = (limit: number, calls: number) =>
    measure(
      subjects.map((subject) => ({
        subject: subject.name,
        calls,
        run: async () => expectRows(subject.name, (await subject.list(limit)).length, limit),
      })),
    );
  const twenty = await listed(20, 500);
  const hundred = await listed(100, 200);
  for (const subject of subjects) {
    expectRows(subject.name, await subject.rows(), runs);
    await subject.close();
  }
  return {
    title: "List",
    how: `The newest of ${runs} runs, with an input of 500 B each. Ours, the floor and Drizzle give all columns but the payloads; openworkflow and Mastra give theirs whole. Every page was counted.`,
    header: measurementHeader,
    rows: [...measurementRows("20", twenty), ...measurementRows("100", hundred)],
    targets: [
      rateAgainst(
        "listRuns(100) against Drizzle on @libsql/client",
        2.5,
        hundred,
        "drizzle on @libsql/client",
      ),
      rateAgainst("list (100) against openworkflow", 1.5, hundred, "openworkflow"),
      rateAgainst("list (100) against Mastra's storage", 5, hundred, "mastra"),
    ],
  };
}
