import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { compileCommandLine, startCommand, type StartedCommand } from "../support/command-line.ts";
import { migratedDatabase } from "../support/databases.ts";
import { test } from "../support/fixtures.ts";
import { reboundName, startBrowser, type TestBrowser } from "./support/browser.ts";
import { giveHostileRuns, giveRuns, hostileText, type GivenRuns } from "./support/runs.ts";

const root = join(import.meta.dirname, "../..");
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** `SCREENSHOTS=1` writes the pictures of the documentation. */
const pictures = process.env["SCREENSHOTS"] === "1" ? join(root, "docs/images") : null;

const pages = ["./", "runs", "workflows", "reports", "schema"];

let program: string;
let browser: TestBrowser;
beforeAll(async () => {
  program = await compileCommandLine();
  browser = await startBrowser();
});
afterAll(() => browser?.close());

interface ServedStudio {
  readonly url: string;
  readonly origin: string;
  stop(): Promise<void>;
}

/** Starts the command on the database, on a free port. */
async function serve(database: string, ...options: readonly string[]): Promise<ServedStudio> {
  const args = ["studio", "--database", database, "--port", "0", "--json", ...options];
  const command = startCommand(program, args, { cwd: root });
  const url = await linkOf(command);
  return {
    url,
    origin: new URL(url).origin,
    async stop() {
      command.process.kill("SIGTERM");
      await command.ended;
    },
  };
}

function linkOf(command: StartedCommand): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    command.process.stdout.on("data", (chunk: string) => {
      text += chunk;
      if (text.endsWith("\n}\n")) resolve((JSON.parse(text) as { url: string }).url);
    });
    void command.ended.then(({ stderr }) => reject(new Error(`the studio ended: ${stderr}`)));
  });
}

interface OpenPage {
  readonly page: Page;
  /** Errors of scripts, refusals by the policy, and other messages of the console. */
  readonly complaints: readonly string[];
  /** Shows another page of the studio, and waits until it is complete. */
  show(address: string): Promise<void>;
  close(): Promise<void>;
}

async function open(
  { url, origin }: ServedStudio,
  options: { width?: number; colorScheme?: "light" | "dark"; timezoneId?: string } = {},
): Promise<OpenPage> {
  const { width = 1280, colorScheme = "light", timezoneId = "UTC" } = options;
  const context = await browser.browser.newContext({
    locale: "en-US",
    timezoneId,
    viewport: { width, height: 900 },
    colorScheme,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  const complete = async () => {
    await page.locator("h1").waitFor();
    await page.waitForFunction(() => document.querySelector(".loading") === null);
  };
  await complete();
  return {
    page,
    complaints,
    async show(address) {
      await page.goto(new URL(address, `${origin}/`).href);
      await complete();
    },
    close: () => context.close(),
  };
}

/** What axe finds on the page, of the rules of WCAG 2.2 AA. */
async function violationsOf(page: Page): Promise<string[]> {
  // The policy of the page refuses a script that is added to it, so this one is evaluated.
  await page.evaluate(await readAxe());
  return page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as {
      axe: {
        run(
          root: Document,
          options: object,
        ): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
      };
    };
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
    const { violations } = await checker.run(document, {
      runOnly: { type: "tag", values: tags },
    });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}

let axeText: Promise<string> | null = null;
function readAxe(): Promise<string> {
  return (axeText ??= import("node:fs/promises").then(({ readFile }) => readFile(axe, "utf8")));
}

describe.each(["a file", "a server"])("on %s", (place) => {
  /** For tests of the page alone, which are the same on every database. */
  const testOnce = place === "a file" ? test : ((() => undefined) as unknown as typeof test);
  let database: string;
  let store: LibSQLStore;
  let given: GivenRuns;
  let studio: ServedStudio;
  test.beforeAll(async ({ sharedFolder, server }) => {
    database =
      place === "a file" ? await migratedDatabase(sharedFolder, "runs.db") : server.httpUrl;
    store = await LibSQLStore.open(database);
    given = await giveRuns(store);
    studio = await serve(database);
  });
  afterAll(async () => {
    await studio?.stop();
    await store?.close();
  });

  testOnce("pictures of the pages can be made", async ({ folder }) => {
    const target = pictures ?? folder.path;
    await mkdir(target, { recursive: true });
    const opened = await open(studio);
    try {
      for (const [name, address] of [
        ["studio-overview", "./"],
        ["studio-runs", "runs?status=FAILED"],
        ["studio-run", `run?id=${given.shown}`],
      ] as const) {
        await opened.show(address);
        if (name === "studio-run") {
          await opened.page.locator("summary").filter({ hasText: "charge" }).click();
          await opened.page.getByLabel("Input as JSON").first().waitFor();
        }
        const picture = await opened.page.screenshot({ path: join(target, `${name}.png`) });
        expect(picture.length).toBeGreaterThan(10_000);
      }
    } finally {
      await opened.close();
    }
  });

  testOnce("every page is complete and accessible, dark and light, wide and narrow", async () => {
    for (const [colorScheme, width] of [
      ["light", 1280],
      ["dark", 375],
    ] as const) {
      const opened = await open(studio, { colorScheme, width });
      try {
        for (const address of [...pages, `run?id=${given.failed}`]) {
          await opened.show(address);
          expect({ address, found: await violationsOf(opened.page) }).toEqual({
            address,
            found: [],
          });
          const isTooWide = await opened.page.evaluate(
            () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
          );
          expect({ address, isTooWide }).toEqual({ address, isTooWide: false });
        }
        expect(opened.complaints).toEqual([]);
      } finally {
        await opened.close();
      }
    }
  });

  test("the overview, the workflows and the schema say what the store says", async () => {
    const opened = await open(studio);
    const { page } = opened;
    try {
      const counts = await store.countRuns();
      const shown = page.getByRole("list", { name: "Runs by status" });
      for (const [status, runs] of Object.entries(counts)) {
        expect(await shown.getByRole("link", { name: status }).textContent()).toContain(
          String(runs),
        );
      }
      await page.getByRole("region", { name: "Least reliable steps" }).first().waitFor();
      await page.getByText("charge").first().waitFor();
      await opened.show("workflows");
      await page.getByRole("region", { name: "Versions of workflows" }).waitFor();
      await page.getByRole("img", { name: /Durations of the runs/ }).waitFor();
      await opened.show("schema");
      await page.getByText("The database is current.").waitFor();
      await page.getByRole("button", { name: "Examine the database" }).click();
      await page.getByText("The database is healthy.").waitFor();
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  test("a workflow is paused with a reason, and resumed", async () => {
    const opened = await open(studio);
    const { page } = opened;
    try {
      await opened.show("workflows");
      await page.getByText("No workflow is paused.").waitFor();
      await page.locator("select[name=workflow]").selectOption("bulk");
      await page.getByRole("button", { name: "Pause…" }).click();
      await page.getByLabel("Reason").fill("the bank is down");
      await page.getByRole("button", { name: "Pause the workflow" }).click();
      const paused = page.getByRole("region", { name: "Paused workflows" });
      await paused.getByText("the bank is down").waitFor();
      expect(await store.listPausedWorkflows()).toMatchObject([
        { workflowId: "bulk", reason: "the bank is down" },
      ]);
      expect(await violationsOf(page)).toEqual([]);
      await paused.getByRole("button", { name: "Resume…" }).click();
      await page.getByRole("button", { name: "Resume the workflow" }).click();
      await page.getByText("No workflow is paused.").waitFor();
      expect(await store.listPausedWorkflows()).toEqual([]);
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  test("every report is a chart and a table, and a file of CSV", async () => {
    const opened = await open(studio);
    const { page } = opened;
    try {
      await opened.show("reports");
      const choice = page.getByRole("combobox", { name: "Report", exact: true });
      const names = await choice
        .locator("option")
        .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
      expect(names).toHaveLength(17);
      for (const name of names) {
        await choice.selectOption(name);
        await page.waitForURL(new RegExp(`name=${name}(&|$)`));
        await page.waitForFunction(() => document.querySelector(".loading") === null);
        const isEmpty = (await page.getByText("Nothing to report").count()) > 0;
        const charts = await page.locator(".chart canvas, .bars li").count();
        const rows = await page.locator("tbody tr").count();
        expect({ name, isComplete: isEmpty || (charts > 0 && rows > 0) }).toEqual({
          name,
          isComplete: true,
        });
        expect(await page.locator("[role=alert]").count()).toBe(0);
      }
      await choice.selectOption("throughput");
      await page.getByRole("img", { name: /Throughput/ }).waitFor();
      const download = page.waitForEvent("download");
      await page.getByRole("link", { name: "CSV" }).click();
      expect((await download).suggestedFilename()).toBe("throughput.csv");
    } finally {
      await opened.close();
    }
  });

  testOnce(
    "runs are filtered, paged, and found by id and tag, with the keyboard alone",
    async () => {
      const opened = await open(studio);
      const { page } = opened;
      try {
        await opened.show("runs");
        await page.keyboard.press("Control+k");
        await page.locator("#find-run:focus").waitFor();
        await page.keyboard.type(given.failed);
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { name: `Run ${given.failed}` }).waitFor();
        await opened.show("runs");
        await page.getByLabel("failed", { exact: true }).focus();
        await page.keyboard.press("Space");
        await page.getByLabel(/^Tags/).fill("country=AQ");
        await page.getByRole("button", { name: "Filter" }).press("Enter");
        await page.waitForURL(/status=FAILED.*tag=country%3DAQ/);
        await page.getByRole("link", { name: given.failed }).waitFor();
        expect(await page.locator("tbody tr").count()).toBe(given.failedRuns);
        await opened.show("runs");
        await page.getByRole("link", { name: "Older" }).click();
        await page.waitForURL(/cursor=/);
        await page.getByRole("link", { name: "Newer" }).click();
        await page.getByRole("link", { name: "Older" }).waitFor();
        expect(opened.complaints).toEqual([]);
      } finally {
        await opened.close();
      }
    },
  );

  test("a run is shown with attempts and causes, retried, cancelled and deleted", async () => {
    const opened = await open(studio);
    const { page } = opened;
    const statusOf = async () => (await store.findRun(given.failed))?.status ?? null;
    const confirm = async (action: string, title: string) => {
      await page.getByRole("button", { name: action, exact: true }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: title }).click();
      await dialog.waitFor({ state: "detached" });
    };
    try {
      await opened.show(`run?id=${given.failed}`);
      await page.getByText("caused by").first().waitFor();
      await page.locator("summary").filter({ hasText: "charge" }).click();
      await page.getByRole("region", { name: "Attempts of charge" }).waitFor();
      await page.getByLabel("Input as JSON").first().waitFor();
      await confirm("Retry from this step…", "Retry from this step");
      await page.getByRole("button", { name: "Cancel…" }).waitFor();
      expect(await statusOf()).toBe("PENDING");
      await confirm("Cancel…", "Cancel the run");
      await page.getByRole("button", { name: "Retry…" }).waitFor();
      expect(await statusOf()).toBe("CANCELLED");
      await confirm("Retry…", "Retry the run");
      await page.getByRole("button", { name: "Cancel…" }).waitFor();
      await confirm("Cancel…", "Cancel the run");
      await confirm("Delete…", "Delete the run");
      await page.getByRole("heading", { name: "Runs" }).waitFor();
      expect(await statusOf()).toBe(null);
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  test("all runs that match are changed after a preview, which Escape leaves", async () => {
    const opened = await open(studio);
    const { page } = opened;
    try {
      await opened.show("runs?workflow=bulk");
      await page.getByRole("button", { name: "Cancel…" }).click();
      await page.getByText(`${given.bulkRuns} runs match.`).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      expect((await store.countRuns({ workflowId: "bulk" })).CANCELLED).toBe(0);
      await page.getByRole("button", { name: "Cancel…" }).click();
      const confirm = page.getByRole("button", { name: `Cancel ${given.bulkRuns} runs` });
      await confirm.waitFor();
      const later = await store.createRun({ workflowId: "bulk" });
      await confirm.click();
      await page.getByText(`${given.bulkRuns} runs are cancelled.`).waitFor();
      expect((await store.getRun(later.runId)).status).toBe("PENDING");
      await store.deleteRun(later.runId);
      expect((await store.countRuns({ workflowId: "bulk" })).CANCELLED).toBe(given.bulkRuns);
      await page.getByRole("button", { name: "Close" }).click();
      await page.getByRole("button", { name: "Retry…" }).click();
      await page.getByRole("button", { name: `Retry ${given.bulkRuns} runs` }).click();
      await page.getByText(`${given.bulkRuns} runs are pending again.`).waitFor();
      expect((await store.countRuns({ workflowId: "bulk" })).PENDING).toBe(given.bulkRuns);
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  test("pages follow an engine while it works, and after it is killed", async () => {
    const list = await open(studio);
    const single = await open(studio);
    const worker = startProgram<{ runId?: string; began?: string }>(
      await compileProgram(join(import.meta.dirname, "programs/worker.ts")),
      [database],
    );
    try {
      await list.show("runs?workflow=parade");
      const { runId = "" } = await worker.message((message) => message.runId !== undefined);
      await worker.message(({ began }) => began === "first");
      await list.page.getByRole("link", { name: runId }).waitFor();
      await list.page.locator("td .status.running").waitFor();
      await single.show(`run?id=${runId}`);
      const step = (name: string, status: string) =>
        single.page
          .locator("summary")
          .filter({ hasText: name })
          .locator(`.status.${status}`)
          .waitFor();
      await step("first", "running");
      worker.send("first");
      await step("first", "completed");
      await worker.message(({ began }) => began === "second");
      await step("second", "running");
      await single.page.getByText("the-worker").first().waitFor();
      await worker.kill();
      await single.page.getByText("its lease expired").waitFor();
      await single.show("./");
      await single.page
        .getByRole("region", { name: "Stuck runs" })
        .getByRole("link", { name: runId })
        .waitFor();
      expect([...list.complaints, ...single.complaints]).toEqual([]);
    } finally {
      await worker.kill();
      await Promise.all([list.close(), single.close()]);
    }
  });

  testOnce("text of any content is shown as text", async () => {
    const runId = await giveHostileRuns(store);
    const opened = await open(studio);
    const { page } = opened;
    try {
      const addresses = [
        "./",
        `runs?workflow=${encodeURIComponent(hostileText)}`,
        `run?id=${encodeURIComponent(runId)}`,
        `workflows?workflow=${encodeURIComponent(hostileText)}`,
        `reports?name=queue&workflow=${encodeURIComponent(hostileText)}`,
        "reports?name=errors",
      ];
      for (const address of addresses) {
        await opened.show(address);
        expect(await page.locator("#app img, #app script, #app iframe").count()).toBe(0);
        expect(await page.evaluate(() => "pwned" in globalThis)).toBe(false);
      }
      await opened.show(`run?id=${encodeURIComponent(runId)}`);
      await page.locator("summary").filter({ hasText: "onerror" }).click();
      await page.getByLabel("Output as JSON").first().waitFor();
      await page
        .getByRole("button", { name: /Show all/ })
        .first()
        .click();
      await page.getByText("the end of a long text").waitFor();
      expect(await page.locator("h1").textContent()).not.toContain("\u202e");
      expect(await page.locator("h1").textContent()).toContain("\\u202e");
      expect(await page.evaluate(() => "pwned" in globalThis)).toBe(false);
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  testOnce("text without spaces does not widen a narrow page", async () => {
    const runId = "r".repeat(255);
    const [workflowId, key] = ["w".repeat(255), "k".repeat(100)];
    const ended = { startedAt: new Date(), completedAt: new Date() };
    await store.createRun({
      runId,
      workflowId,
      workflowVersion: "v".repeat(255),
      workerId: "h".repeat(255),
      tags: { [key]: key },
      status: "FAILED",
      error: { name: "E".repeat(200), message: "m".repeat(200) },
      ...ended,
    });
    await store.createStepExecution({ runId, stepId: "s".repeat(255), status: "FAILED", ...ended });
    const opened = await open(studio, { width: 360 });
    const { page } = opened;
    try {
      for (const address of [
        "./",
        "runs",
        `run?id=${runId}`,
        `workflows?workflow=${workflowId}`,
        ...["durations", "slowest", "errors"].map((name) => `reports?name=${name}`),
      ]) {
        await opened.show(address);
        if (address.startsWith("run?")) await page.locator("summary").first().click();
        const [width, visible] = await page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          return [scrollWidth, clientWidth];
        });
        expect({ address, width }).toEqual({ address, width: visible });
      }
      await opened.show(`run?id=${runId}`);
      await page.getByRole("button", { name: "Retry…" }).click();
      const dialog = page.getByRole("dialog");
      expect(
        await dialog.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth),
      ).toBe(0);
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
      await store.deleteRun(runId);
    }
  });

  testOnce("the keyboard stays in the page after a filter, a page and a dialog", async () => {
    const opened = await open(studio);
    const { page } = opened;
    const focused = () =>
      page.evaluate(() => document.activeElement?.textContent.trim().slice(0, 20));
    try {
      await opened.show("runs");
      await page.getByRole("button", { name: "Filter" }).press("Enter");
      await page.getByLabel("Workflow", { exact: true }).fill("order");
      await page.getByRole("button", { name: "Filter" }).press("Enter");
      await page.waitForURL(/workflow=order/);
      expect(await focused()).toBe("Filter");
      await page.getByRole("link", { name: "Older" }).press("Enter");
      await page.waitForURL(/cursor=/);
      await page.getByRole("link", { name: "Newer" }).waitFor();
      expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("MAIN");
      await page.getByRole("link", { name: "Clear" }).press("Enter");
      await page.waitForURL(/runs$/);
      expect(await page.getByLabel("Workflow", { exact: true }).inputValue()).toBe("");
      expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("FORM");
      await page.getByRole("button", { name: "Retry…" }).press("Enter");
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      expect(await focused()).toBe("Retry…");
    } finally {
      await opened.close();
    }
  });

  testOnce("the focus stays near a button that a change removes", async () => {
    const ended = { status: "FAILED", startedAt: new Date(), completedAt: new Date() } as const;
    const { runId } = await store.createRun({ workflowId: "focused", ...ended });
    await store.createStepExecution({ runId, stepId: "only", ...ended });
    const opened = await open(studio);
    const { page } = opened;
    const confirm = async (action: string, title: string) => {
      await page.getByRole("button", { name: action, exact: true }).press("Enter");
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: title }).press("Enter");
      await dialog.waitFor({ state: "detached" });
    };
    const button = (name: string) => page.getByRole("button", { name, exact: true });
    try {
      await opened.show(`run?id=${runId}`);
      await confirm("Retry…", "Retry the run");
      await button("Cancel…").waitFor();
      await page.locator("[aria-label='Change the run']:focus").waitFor();
      await confirm("Cancel…", "Cancel the run");
      await button("Retry…").waitFor();
      await page.locator("[aria-label='Change the run']:focus").waitFor();
      await page.locator("summary").filter({ hasText: "only" }).press("Enter");
      await confirm("Retry from this step…", "Retry from this step");
      await button("Cancel…").waitFor();
      await page.locator(".timeline :focus").waitFor();
      await opened.show("workflows");
      await page.locator("select[name=workflow]").selectOption("focused");
      await confirm("Pause…", "Pause the workflow");
      await confirm("Resume…", "Resume the workflow");
      await page.getByText("No workflow is paused.").waitFor();
      await page.locator("section:focus", { hasText: "Claims" }).waitFor();
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  testOnce("a page works in a browser that permits no storage", async () => {
    const opened = await open(studio);
    const { page } = opened;
    try {
      await page.addInitScript(() => {
        Object.defineProperty(globalThis, "localStorage", {
          get() {
            throw new DOMException("denied", "SecurityError");
          },
        });
      });
      await opened.show("schema");
      await page.getByLabel("Colors").selectOption("dark");
      await page.locator("html[data-theme=dark]").waitFor();
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  testOnce("a report is read again when it is asked for again", async () => {
    const opened = await open(studio);
    const { page } = opened;
    const workflowId = "reported";
    try {
      await opened.show(`reports?name=queue&workflow=${workflowId}`);
      await page.getByText("Nothing to report.").waitFor();
      await store.createRun({ workflowId });
      // The studio shares an answer for a second.
      await expect
        .poll(async () => {
          await page.getByRole("button", { name: "Show" }).click();
          return page.getByRole("cell", { name: workflowId }).count();
        })
        .toBe(1);
      await opened.show("runs");
      const after = page.getByLabel("Created after");
      const isValid = await after.evaluate((input: HTMLInputElement) => {
        input.value = "20260-01-01T00:00";
        return input.checkValidity();
      });
      expect(isValid).toBe(false);
    } finally {
      await opened.close();
    }
  });

  testOnce("a dialog closes with its page, and its answer changes no other page", async () => {
    const { runId } = await store.createRun({ workflowId: "w", status: "FAILED" });
    const opened = await open(studio);
    const { page } = opened;
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    try {
      await page.route("**/api/delete", async (route) => {
        await answered;
        await route.continue();
      });
      await opened.show("runs");
      await page.getByRole("link", { name: runId }).click();
      await page.getByRole("button", { name: "Delete…" }).click();
      const isAsked = page.waitForRequest("**/api/delete");
      await page.getByRole("button", { name: "Delete the run" }).click();
      await isAsked;
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.getByRole("link", { name: "Schema" }).click();
      const isDeleted = page.waitForResponse("**/api/delete");
      answer();
      await isDeleted;
      await page.getByRole("heading", { name: "Schema" }).waitFor();
      expect(await store.findRun(runId)).toBe(null);
      expect(page.url()).toMatch(/schema$/);
      await page.getByRole("link", { name: "Runs" }).click();
      await page.getByRole("button", { name: "Cancel…" }).click();
      await page.getByRole("dialog").waitFor();
      await page.goBack();
      await page.getByRole("heading", { name: "Schema" }).waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: "Runs" }).waitFor();
      expect(await page.getByRole("dialog").count()).toBe(0);
      expect(opened.complaints).toEqual([]);
    } finally {
      answer();
      await opened.close();
    }
  });

  testOnce("an error of a page leaves the navigation, and ends with the page", async () => {
    const opened = await open(studio);
    const { page } = opened;
    try {
      await page.route("**/api/counts", (route) => route.fulfill({ json: { counts: null } }));
      await opened.page.reload();
      await page.getByText("The page cannot be shown").waitFor();
      await page.getByRole("link", { name: "Schema" }).click();
      await page.getByText("The database is current.").waitFor();
      await page.unroute("**/api/counts");
      await page.getByRole("link", { name: "Overview" }).click();
      await page.getByRole("list", { name: "Runs by status" }).waitFor();
      expect(await page.getByRole("alert").count()).toBe(0);
    } finally {
      await opened.close();
    }
  });

  testOnce("updates of an id that is too long are asked for once", async () => {
    const opened = await open(studio);
    const { page } = opened;
    let asked = 0;
    page.on("request", (request) => {
      if (request.url().includes("/api/live") && request.method() === "GET") asked++;
    });
    try {
      await page.clock.install();
      await opened.page.goto(`${studio.origin}/run?id=${"x".repeat(300)}`);
      await page.getByText("must be 1 to 255").waitFor();
      await page.getByText("not live").waitFor();
      const isProbed = page.waitForResponse((response) => response.request().method() === "HEAD");
      await page.clock.runFor(4000);
      await isProbed;
      await page
        .locator('.live[title="The studio refuses to send updates of this page."]')
        .waitFor();
      await page.clock.runFor(60_000);
      expect(asked).toBe(1);
    } finally {
      await opened.close();
    }
  });

  testOnce("charts are in the time zone of the browser, and say how much they show", async () => {
    for (let index = 0; index < 8; index++) {
      const at = new Date(Date.now() - 60_000);
      const times = { createdAt: at, startedAt: at, completedAt: at };
      await store.createRun({ workflowId: `zoned-${index}`, status: "COMPLETED", ...times });
    }
    const opened = await open(studio, { timezoneId: "Asia/Kathmandu" });
    const { page } = opened;
    try {
      await page.getByText(/Runs per hour, Asia\/Kat(h)?mandu/).waitFor();
      await opened.show("reports?name=durations&per=day");
      await page.getByText(/Per day, Asia\/Kath?mandu\. The 6 of \d+ workflows/).waitFor();
      expect(await page.locator(".chart .legend").count()).toBe(6);
      await opened.show("reports?name=throughput&per=day");
      const first = await page.locator("tbody tr").first().textContent();
      expect(first).toContain(" 00:00:00");
      expect(opened.complaints).toEqual([]);
    } finally {
      await opened.close();
    }
  });

  testOnce(
    "a studio that is read-only offers no change, and refuses one from its own page",
    async () => {
      const readOnly = await serve(database, "--read-only");
      const opened = await open(readOnly);
      const { page } = opened;
      try {
        for (const address of ["runs", `run?id=${given.completed}`]) {
          await opened.show(address);
          await page.getByText("read-only").waitFor();
          expect(await page.getByRole("button", { name: "…" }).count()).toBe(0);
        }
        const status = await page.evaluate(async (runId) => {
          const response = await fetch("api/delete", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ runId }),
          });
          return response.status;
        }, given.completed);
        expect(status).toBe(403);
        expect((await store.getRun(given.completed)).status).toBe("COMPLETED");
      } finally {
        await opened.close();
        await readOnly.stop();
      }
    },
  );

  testOnce("without the token, and under another name, there is no page", async () => {
    const context = await browser.browser.newContext({ locale: "en-US" });
    const page = await context.newPage();
    try {
      for (const address of [studio.origin, `${studio.origin}/?token=wrong`]) {
        const response = await page.goto(address);
        expect(response?.status()).toBe(401);
        expect(await page.locator("#app").count()).toBe(0);
      }
      const rebound = studio.url.replace(/\/\/[^:]+/, `//${reboundName}`);
      expect((await page.goto(rebound))?.status()).toBe(403);
      expect(await page.locator("#app").count()).toBe(0);
      // A page of another site cannot use the cookie.
      await page.goto(studio.url);
      await page.goto(`${studio.url.replace(/\/\?.*/, "")}/runs`);
      await page.locator("h1").waitFor();
      const { port } = new URL(studio.url);
      await page.goto(`http://localhost:${port}/`);
      expect(await page.locator("#app").count()).toBe(0);
    } finally {
      await context.close();
    }
  });

  testOnce("a page says that the studio does not answer, and recovers", async () => {
    const other = await serve(database);
    const opened = await open(other);
    const { page } = opened;
    try {
      await opened.show("runs");
      await page.context().setOffline(true);
      await page.getByLabel("Workflow", { exact: true }).fill("bulk");
      await page.getByRole("button", { name: "Filter" }).click();
      await page.getByText("The studio does not answer").waitFor();
      await page.context().setOffline(false);
      await page.getByRole("button", { name: "Try again" }).click();
      await page.getByRole("region", { name: "Runs" }).waitFor();
      // A browser does not repeat a stream that was answered with an error, such as that of a proxy.
      await page.route("**/api/live*", (route) => route.fulfill({ status: 502 }));
      await page.reload();
      await page.getByText("not live").waitFor();
      await page.unroute("**/api/live*");
      await page.locator(".live.live").waitFor();
    } finally {
      await opened.close();
      await other.stop();
    }
  });
});
