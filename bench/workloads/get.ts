import { measure } from "../measure.ts";
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
} from "../subjects.ts";

const runs = 1000;
const calls = 3000;

export async function run(): Promise<Section> {
  const subjects = [
    await openFloor("normal"),
    await openOurs("normal"),
    await openDrizzle("normal"),
    await openOpenWorkflow(),
    await openMastra(),
  ];
  const ids = Array.from({ length: runs }, (_, index) => `run-${index}`);
  for (const subject of subjects) {
    for (const id of ids) await subject.create(id, payload(500));
  }
  // The same ids in the same scattered order for everybody.
  const idOf = (call: number) => ids[(call * 7919) % runs] ?? "";
  const measured = await measure(
    subjects.map((subject) => ({
      subject: subject.name,
      calls,
      run: (call) => subject.get(idOf(call)),
    })),
  );
  for (const subject of subjects) {
    expectRows(subject.name, await subject.rows(), runs);
    await subject.close();
  }
  return {
    title: "Get",
    how: `One run of ${runs} by its id, with an input of 500 B, decoded; reading does not depend on the durability.`,
    header: measurementHeader,
    rows: measurementRows("", measured),
    targets: [
      timeAgainst("getRun against the floor's get and JSON.parse: time", 2, measured, "floor"),
      rateAgainst("get against openworkflow", 2, measured, "openworkflow"),
      rateAgainst("load against Mastra's storage", 5, measured, "mastra"),
    ],
  };
}
