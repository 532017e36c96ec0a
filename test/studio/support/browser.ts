import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser } from "playwright-core";

export interface TestBrowser {
  readonly browser: Browser;
  close(): Promise<void>;
}

/** The name that resolves to this computer in the browser, as after DNS rebinding. */
export const reboundName = "rebound.example";

/**
 * Starts a headless Chromium: that of npm on Linux x64, and the installed Chrome elsewhere. `STUDIO_BROWSER` is the path
 * of another one.
 */
export async function startBrowser(): Promise<TestBrowser> {
  const args = [
    `--host-resolver-rules=MAP ${reboundName} 127.0.0.1`,
    "--no-sandbox",
    // Shared memory may be small in a container.
    "--disable-dev-shm-usage",
    "--disable-gpu",
  ];
  const { STUDIO_BROWSER: executablePath } = process.env;
  if (executablePath !== undefined) return opened(await chromium.launch({ executablePath, args }));
  if (process.platform !== "linux" || process.arch !== "x64") {
    return opened(await chromium.launch({ channel: "chrome", args }));
  }
  const folder = await mkdtemp(join(tmpdir(), "gorkflow-browser-"));
  try {
    const path = await unpack(folder);
    const browser = await launch(path, folder, args);
    return opened(browser, () => rm(folder, { recursive: true, force: true }));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** The package has the shared libraries that Chromium needs, for systems that lack them. */
async function launch(executablePath: string, folder: string, args: string[]): Promise<Browser> {
  try {
    return await chromium.launch({ executablePath, args });
  } catch (error) {
    if (!String(error).includes("error while loading shared libraries")) throw error;
    const env = { ...process.env, LD_LIBRARY_PATH: join(folder, "al2023/lib") };
    return chromium.launch({ executablePath, args, env });
  }
}

/** Unpacks the browser of npm, which takes its folder from the environment. */
async function unpack(folder: string): Promise<string> {
  const before = { ...process.env };
  Object.assign(process.env, { TMPDIR: folder, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs20.x" });
  try {
    const { default: packed } = await import("@sparticuz/chromium");
    return await packed.executablePath();
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

function opened(browser: Browser, clean: () => Promise<void> = async () => {}): TestBrowser {
  return {
    browser,
    async close() {
      await browser.close();
      await clean();
    },
  };
}
