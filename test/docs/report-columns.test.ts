import { readFile } from "node:fs/promises";
import { drizzle } from "drizzle-orm/libsql/web";
import { expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { reportNames, reports } from "../reports/support/all-reports.ts";

const page = await readFile("docs/reports.md", "utf8");
const [, columnsSection = ""] = page.split("## The columns");
const db = drizzle({ client: createClient(":memory:") });

test.each(reportNames)("docs/reports.md names the columns of %s, in their order", (name) => {
  const { selectedFields } = reports[name](db).as("report")._;
  const documented = new RegExp(`^\\| \`${name}\` +\\| (.*)\\|$`, "m").exec(columnsSection)?.[1];
  expect([...(documented ?? "").matchAll(/`(\w+)`/g)].map(([, column]) => column)).toEqual(
    Object.keys(selectedFields),
  );
});
