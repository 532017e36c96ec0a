import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawn } from "@lydell/node-pty";
import { expect, vi } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();

interface TerminalOptions {
  /** Shown all that has been printed; may type. */
  readonly react?: (screen: string, type: (keys: string) => void) => void;
  readonly columns?: number;
  /** A file instead of the keyboard. */
  readonly input?: string;
}

/** The command on a pseudo-terminal. */
function onTerminal(
  args: readonly string[],
  { react, columns = 120, input = "/dev/tty" }: TerminalOptions = {},
): Promise<{ code: number; screen: string }> {
  const { PATH = "" } = process.env;
  const script = `exec "$0" "$@" < ${input}`;
  const terminal = spawn("sh", ["-c", script, process.execPath, command.program, ...args], {
    cols: columns,
    rows: 40,
    cwd: command.folder.path,
    env: { PATH, TERM: "xterm-256color" },
  });
  let screen = "";
  terminal.onData((text) => {
    screen += text;
    react?.(screen, (keys) => terminal.write(keys));
  });
  return new Promise((resolve) => {
    terminal.onExit(({ exitCode }) => resolve({ code: exitCode, screen }));
  });
}

test("a copy draws a bar with the remaining time, and prints the answer below it", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 3000);
  const { code, screen } = await onTerminal(["copy", "runs.db", "target.db"]);
  expect(code).toBe(0);
  expect(screen).toMatch(/█.* \d\d% \| \d+s left \| [\d,]+ of 3,000 runs/);
  expect(screen).toMatch(/█ 100% \| 0s left \| 3,000 of 3,000 runs/);
  expect(screen).toContain("3,000 runs copied");
});

test("a prune draws a bar up to the number of runs that may be deleted", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 3000);
  const { code, screen } = await onTerminal(["prune", "--older-than", "1d", "-d", "runs.db"]);
  expect(code).toBe(0);
  expect(screen).toMatch(/█.* \d\d% \| \d+s left \| [\d,]+ of at most 2,970 runs/);
  expect(screen).toMatch(/█ 100% \| 0s left \| 2,970 of at most 2,970 runs/);
});

test.each(["runs.ndjson", "runs.ndjson.gz"])(
  "an import of %s says that it checks the file, and draws a bar by the runs that it stores",
  async (file) => {
    await makeBulkRuns(command.folder.database("runs.db"), 4000);
    await command.runProcess(["export", file, "-d", "runs.db"]);
    const { code, screen } = await onTerminal(["import", file, "-d", "target.db"]);
    expect(code).toBe(0);
    expect(screen).toContain(`checking ${file}`);
    expect(screen).toMatch(/█.* \d\d% \| \d+s left \| [\d,]+ of 4,000 runs/);
    expect(screen).toMatch(/█ 100% \| 0s left \| 4,000 of 4,000 runs/);
    expect(screen).toContain("4,000 runs imported");
  },
);

test("an import from a pipe shows a count and the time, without a total", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 300);
  await command.runProcess(["export", "runs.ndjson", "-d", "runs.db"]);
  const { code, screen } = await onTerminal(["import", "-", "-d", "target.db"], {
    input: "runs.ndjson",
  });
  expect(code).toBe(0);
  expect(screen).toMatch(/300 runs \| \d+s/);
  expect(screen).not.toMatch(/%|left/);
});

test("a terminal of 40 columns shows the share and the remaining time", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 1000);
  const { screen } = await onTerminal(["copy", "runs.db", "target.db"], { columns: 40 });
  const bars = screen.match(/[█░]+ \d+% \| \d+s left/g) ?? [];
  expect(bars.length).toBeGreaterThan(0);
  for (const bar of bars) expect(bar.length).toBeLessThan(30);
});

test("a typed Ctrl-C ends a copy with 130, says how to continue, and shows the cursor again", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 10_000);
  let typed = false;
  const react: TerminalOptions["react"] = (shown, type) => {
    if (typed || !/[1-9]\d* of 10,000 runs/.test(shown)) return;
    typed = true;
    type("\u0003");
  };
  const { code, screen } = await onTerminal(["copy", "runs.db", "target.db"], { react });
  expect(code).toBe(130);
  expect(screen).toContain("--resume");
  expect(screen.lastIndexOf("\u001b[?25h")).toBeGreaterThan(screen.lastIndexOf("\u001b[?25l"));
});

test("statuses have colors on a terminal, unless NO_COLOR is set", async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 10);
  const { code, screen } = await onTerminal(["runs", "list", "-d", "runs.db"]);
  expect(code).toBe(0);
  expect(screen).toContain("\u001b[3");
  const plain = await command.runProcess(["runs", "list", "-d", "runs.db"], {
    env: { NO_COLOR: "1" },
  });
  expect(plain.stdout).not.toContain("\u001b[");
});

test("bash completes commands, options and their values without the package bash-completion", async () => {
  const { path } = command.folder;
  const program = join(path, "gorkflow");
  await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${command.program}" "$@"\n`);
  await chmod(program, 0o755);
  const bash = spawn("bash", ["--norc", "--noprofile", "-i"], {
    cols: 120,
    rows: 40,
    cwd: path,
    env: { PATH: `${path}:${process.env["PATH"] ?? ""}`, TERM: "dumb", PS1: "ready> " },
  });
  let screen = "";
  bash.onData((text) => (screen += text));
  const seen = (text: string) =>
    vi.waitFor(() => expect(screen).toContain(text), { timeout: 30_000, interval: 50 });
  bash.write(". <(gorkflow complete bash); echo script-${?}\n");
  await seen("script-0");
  bash.write("gorkflow exp\t");
  await seen("gorkflow export ");
  bash.write("\u0015gorkflow runs list --sta\t");
  await seen("gorkflow runs list --status ");
  bash.write("FAI\t");
  await seen("gorkflow runs list --status FAILED ");
  bash.write("\u0015gorkflow report reli\t");
  await seen("gorkflow report reliability ");
  expect(screen).not.toMatch(/not found|error/);
  bash.kill();
});
