import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { validate, version } from "uuid";
import { expect, vi } from "vitest";
import { newId } from "../src/new-id.ts";
import { test as it } from "./support/fixtures.ts";

it("makes UUIDs of version 7", () => {
  for (const id of Array.from({ length: 1000 }, newId)) {
    expect(validate(id)).toBe(true);
    expect(version(id)).toBe(7);
  }
});

it("makes different ids in ascending order, several in a millisecond", () => {
  const ids = Array.from({ length: 100_000 }, newId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

it("keeps the order if the clock goes backwards", () => {
  const now = Date.now();
  const clock = vi.spyOn(Date, "now");
  try {
    const ids = [now + 5000, now + 4000, now + 4000, now + 6000].map((time) => {
      clock.mockReturnValue(time);
      return newId();
    });
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(4);
  } finally {
    clock.mockRestore();
  }
});

it("has the time of its making in milliseconds", () => {
  const clock = vi.spyOn(Date, "now").mockReturnValue(0x0fed_cba9_8765);
  try {
    expect(newId()).toMatch(/^0fedcba9-8765-7/);
  } finally {
    clock.mockRestore();
  }
});

it("does not repeat the random bytes of a snapshot in the processes that start from it", async ({
  folder,
}) => {
  const outfile = join(folder.path, "program.js");
  const contents = `
    import { startupSnapshot } from "node:v8";
    import { newId } from "./new-id.ts";
    const { now } = Date;
    Date.now = () => now() - 5000;
    newId();
    Date.now = now;
    startupSnapshot.setDeserializeMainFunction(() => console.log(newId()));`;
  await build({
    stdin: { contents, resolveDir: join(import.meta.dirname, "../src") },
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
  });
  const run = promisify(execFile);
  const start = (...options: string[]) =>
    run(process.execPath, ["--snapshot-blob", join(folder.path, "blob"), ...options]);
  await start("--build-snapshot", outfile);
  const ids = [(await start()).stdout, (await start()).stdout];
  // Without the time.
  const [first, second] = ids.map((id) => id.trim().slice("0198c0de-0000-7".length));
  expect(first).toMatch(/^[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/);
  expect(second).not.toBe(first);
});
