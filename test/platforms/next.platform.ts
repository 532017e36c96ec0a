// A route handler of Next.js: built, shipped as a standalone server, and in development.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temporary.ts";
import { expectedAnswers } from "./app/app.ts";
import {
  documentedFile,
  drizzleVersions,
  makePlatformProject,
  type PlatformProject,
} from "./support/platform-project.ts";

const route = `
import { drizzle } from "drizzle-orm/libsql";
import { LibSQLStore } from "gorkflow";
import { createClient } from "gorkflow/client";
import { migrate } from "gorkflow/migrations";
import { useEverything } from "../../app.js";

export const dynamic = "force-dynamic";

/** As apps do, so that a hot reload opens no second client. */
async function openDatabase() {
  const client = createClient("file:" + process.env.DATA + "/route.db");
  await migrate(client);
  return drizzle({ client });
}

export async function GET(request) {
  if (new URL(request.url).searchParams.has("everything")) {
    return Response.json(await useEverything(process.env.DATA));
  }
  const db = await (globalThis.database ??= openDatabase());
  const store = new LibSQLStore(db);
  await db.transaction((tx) => store.withTransaction(tx).createRun({ workflowId: "w" }));
  return Response.json({ edition: 1, runs: (await store.countRuns()).PENDING });
}
`;

const files = {
  "next.config.js": await documentedFile("next.config.js"),
  "app/layout.js":
    "export default function Layout({ children }) { return <html><body>{children}</body></html>; }",
  "app/api/run/route.js": route,
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

interface RunningServer {
  get(query?: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a server of Next.js on loopback. */
async function start(cwd: string, args: readonly string[], data: string): Promise<RunningServer> {
  const port = await freePort();
  const env = {
    ...process.env,
    DATA: data,
    PORT: String(port),
    HOSTNAME: "127.0.0.1",
    NEXT_TELEMETRY_DISABLED: "1",
  };
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  const exited = once(child, "exit");
  return {
    async get(query = "") {
      for (let attempt = 0; ; attempt++) {
        const url = `http://127.0.0.1:${port}/api/run${query}`;
        const response = await fetch(url).catch(() => null);
        if (response?.ok) return response.json();
        if (response !== null || attempt > 300 || child.exitCode !== null) {
          throw new Error(`${response?.status}: ${await response?.text()}\n${output}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async stop() {
      child.kill();
      await exited;
    },
  };
}

describe.each(drizzleVersions)("on Drizzle %s", (version) => {
  let project: PlatformProject;
  beforeAll(async () => {
    const packages = { next: "16", react: "19", "react-dom": "19" };
    project = await makePlatformProject(version, { packages });
    await project.compile(["app"], { folder: "app" });
    await project.write(files);
  });
  afterAll(() => project?.remove());

  test.each(["--turbopack", "--webpack"])("a standalone server built with %s", async (bundler) => {
    await project.run(join(project.path, "node_modules/.bin/next"), ["build", bundler], {
      env: { NEXT_TELEMETRY_DISABLED: "1" },
    });
    const shipped = await temporaryFolder();
    await cp(join(project.path, ".next/standalone"), shipped.path, { recursive: true });
    const server = await start(shipped.path, ["server.js"], shipped.path);
    try {
      expect(await server.get("?everything")).toEqual(expectedAnswers);
      expect(await server.get()).toEqual({ edition: 1, runs: 1 });
    } finally {
      await server.stop();
      await shipped.remove();
    }
  });

  test.each(["--turbopack", "--webpack"])("a hot reload in next dev %s", async (bundler) => {
    const data = await temporaryFolder();
    const next = join(project.path, "node_modules/next/dist/bin/next");
    const server = await start(project.path, [next, "dev", bundler], data.path);
    try {
      expect(await server.get()).toEqual({ edition: 1, runs: 1 });
      await project.write({ "app/api/run/route.js": route.replace("edition: 1", "edition: 2") });
      let answer: unknown;
      do answer = await server.get();
      while (JSON.stringify(answer).includes('"edition":1'));
      expect(answer).toMatchObject({ edition: 2 });
      expect(await readFile(join(data.path, "route.db"))).not.toHaveLength(0);
    } finally {
      await project.write(files);
      await server.stop();
      await data.remove();
    }
  });
});
