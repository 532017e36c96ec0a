import { spawn } from "@lydell/node-pty";
import { expect, test } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();

/** The command on a pseudo-terminal. `react` is shown all that has been printed, and may type. */
function onTerminal(
  args: readonly string[],
  react: (screen: string, type: (keys: string) => void) => void = () => undefined,
): Promise<{ code: number; screen: string }> {
  const { PATH = "" } = process.env;
  const terminal = spawn(process.execPath, [command.program, ...args], {
    cols: 120,
    rows: 40,
    cwd: command.folder.path,
    env: { PATH, TERM: "xterm-256color" },
  });
  let screen = "";
  terminal.onData((text) => {
    screen += text;
    react(screen, (keys) => terminal.write(keys));
  });
  return new Promise((resolve) => {
    terminal.onExit(({ exitCode }) => resolve({ code: exitCode, screen }));
  });
}

test("a copy draws a bar with the time that is left, and answers below it", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 3000);
  const { code, screen } = await onTerminal(["copy", "runs.db", "target.db"]);
  expect(code).toBe(0);
  expect(screen).toMatch(/█.*100% \| 3000 of 3000 runs \| .* left/);
  expect(screen).toContain("3,000 runs copied");
});

test("Ctrl-C that is typed ends a copy with 130, says how to go on, and gives the cursor back", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 30_000);
  let typed = false;
  const { code, screen } = await onTerminal(["copy", "runs.db", "target.db"], (shown, type) => {
    if (typed || !/[1-9]\d* of 30000 runs/.test(shown)) return;
    typed = true;
    type("\u0003");
  });
  expect(code).toBe(130);
  expect(screen).toContain("--resume");
  expect(screen.lastIndexOf("\u001b[?25h")).toBeGreaterThan(screen.lastIndexOf("\u001b[?25l"));
});

test("statuses have colours on a terminal, unless NO_COLOR says no", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 10);
  const { code, screen } = await onTerminal(["runs", "list", "-d", "runs.db"]);
  expect(code).toBe(0);
  expect(screen).toContain("\u001b[3");
  const plain = await command.run(["runs", "list", "-d", "runs.db"], { env: { NO_COLOR: "1" } });
  expect(plain.stdout).not.toContain("\u001b[");
});
