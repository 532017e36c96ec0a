import { Database } from "../libsql.ts";
import { measure, type Measurement } from "../measure.ts";
import { expectRows, measurementHeader, measurementRows, type Section } from "../section.ts";
import { bytesOnDisk, openOurs } from "../subjects.ts";
import { LibSQLStore } from "../../dist/index.js";

const sizes = [10_000, 100_000, 1_000_000];
const pageLimit = 20;
const farPage = 500;

/** Runs of three workflows in all statuses, a second apart, written by one statement. */
async function fill(path: string, runs: number): Promise<void> {
  await (await LibSQLStore.open(`file:${path}`)).close();
  const database = new Database(path);
  database.exec(`
    pragma synchronous = off;
    insert into workflow_runs (run_id, workflow_id, workflow_version, status, progress, input, attempt, revision,
      created_at, updated_at)
    with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${runs})
    select printf('run-%09d', n), 'workflow-' || (n % 3), '1',
      case n % 20 when 0 then 'FAILED' when 1 then 'CANCELLED' when 2 then 'PENDING' when 3 then 'RUNNING' else 'COMPLETED' end,
      1, '{"order":"${"x".repeat(100)}"}', 1, 3, 1700000000000 + n * 1000, 1700000000000 + n * 1000
    from numbers;
    analyze;
    pragma wal_checkpoint(truncate);`);
  database.close();
}

/** How many times the longest table takes what the shortest does. */
const growth = (measurements: readonly Measurement[]) =>
  (measurements.at(-1)?.us ?? Number.NaN) / (measurements[0]?.us ?? Number.NaN);

export async function run(): Promise<Section> {
  const stores = [];
  for (const runs of sizes) {
    const opened = await openOurs("full");
    await fill(opened.path, runs);
    expectRows("the file", await opened.rows(), runs);
    // The place before a far page, found as a reader finds it: page by page.
    let cursor: string | null = null;
    for (let page = 1; page < farPage; page++) {
      ({ nextCursor: cursor } = await opened.store.listRuns({ limit: pageLimit, cursor }));
    }
    if (cursor === null) throw new Error(`page ${farPage} does not exist`);
    stores.push({ runs, subject: `${runs.toLocaleString("en")} runs`, cursor, ...opened });
  }
  const firstPage = await measure(
    stores.map(({ subject, store }) => ({
      subject,
      calls: 300,
      run: () => store.listRuns({ limit: pageLimit }),
    })),
  );
  const hundred = await measure(
    stores.map(({ subject, store }) => ({
      subject,
      calls: 100,
      run: () => store.listRuns({ limit: 100 }),
    })),
  );
  const far = await measure(
    stores.map(({ subject, store, cursor }) => ({
      subject,
      calls: 300,
      run: async () => {
        const { runs } = await store.listRuns({ limit: pageLimit, cursor });
        expectRows("the page", runs.length, pageLimit);
      },
    })),
  );
  const counted = await measure(
    stores.map(({ subject, runs, store }) => ({
      subject,
      calls: 3,
      run: async () => {
        const counts = Object.values(await store.countRuns());
        expectRows(
          "the counts",
          counts.reduce((sum, count) => sum + count, 0),
          runs,
        );
      },
    })),
  );
  const sizesOnDisk = stores.map(
    ({ subject, path }) => `${subject}: ${(bytesOnDisk(path) / 1e6).toFixed(1)} MB`,
  );
  for (const { close } of stores) await close();
  return {
    title: "Lists and counts as the table grows",
    how: `Pages of ${pageLimit}: the first one, and page ${farPage} by its cursor; counts per status. On disk: ${sizesOnDisk.join("; ")}.`,
    header: measurementHeader,
    rows: [
      ...measurementRows("first page of 20", firstPage),
      ...measurementRows("first page of 100", hundred),
      ...measurementRows(`page ${farPage} of 20`, far),
      ...measurementRows("count per status", counted),
    ],
    targets: [
      {
        what: "first page of 20: 1 M runs against 10 k: time",
        bound: "at most",
        value: 1.5,
        unit: "×",
        measured: growth(firstPage),
      },
      {
        what: "page 500 of 20: 1 M runs against 10 k: time",
        bound: "at most",
        value: 1.5,
        unit: "×",
        measured: growth(far),
      },
      {
        what: "count per status of 1 M runs",
        bound: "at most",
        value: 100,
        unit: "ms",
        measured: (counted.at(-1)?.us ?? Number.NaN) / 1000,
      },
    ],
  };
}
