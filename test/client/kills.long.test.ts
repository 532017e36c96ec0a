import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const kills = Number(process.env["KILLS"] ?? 60);

interface Said {
  readonly ready?: boolean;
  readonly acknowledged?: string;
}

let program: string;
let folder: TemporaryFolder;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/writer.ts`);
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

describe.each(["full", "normal"] as const)(
  "a process killed at a random point, %s",
  (durability) => {
    test("has lost nothing that was acknowledged, and left no half of a group", async () => {
      const url = folder.database(`${durability}.db`);
      const setup = createClient(url);
      await setup.execute("create table entries (id text, half integer, primary key (id, half))");
      setup.close();
      const acknowledged: string[] = [];
      for (let round = 0; round < kills / 2; round++) {
        const writer = startProgram<Said>(program, [url, `${round}`, "0", durability]);
        await writer.message(({ ready }) => ready === true);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
        await writer.kill();
        acknowledged.push(...writer.messages.flatMap(({ acknowledged: id }) => id ?? []));
      }
      const client = createClient(url);
      const { rows } = await client.execute(
        "select id, count(*) as halves from entries group by id",
      );
      client.close();
      const found = new Map(rows.map(({ id, halves }) => [id, halves]));
      expect(acknowledged.length).toBeGreaterThan(kills);
      expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
      expect([...found].filter(([, halves]) => halves !== 2)).toEqual([]);
    });
  },
);
