// Processes that write on a synchronous driver are killed. Nothing that they have acknowledged is lost.
import { test } from "../../support/fixtures.ts";
import { killWriters } from "./support/kill-writers.ts";

const kills = Number(process.env["KILLS"] ?? 6);

test("no acknowledged write is lost, and no order is without its run", async ({ folder }) => {
  await killWriters(`${folder.path}/app.db`, kills);
});
