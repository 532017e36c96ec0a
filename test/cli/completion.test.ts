import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();

test("a shell without completion, or none, is a usage error", async () => {
  for (const [args, reason] of [
    [["complete", "tcsh"], "'tcsh' is invalid"],
    [["complete"], "missing required argument 'shell'"],
  ] as const) {
    const { code, stdout, stderr } = await command.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(reason);
    expect(stderr).toContain("gorkflow complete --help");
  }
  const { code, stdout } = await command.run(["complete", "bash"]);
  expect({ code, isScript: stdout.includes("complete -F") }).toEqual({ code: 0, isScript: true });
});
